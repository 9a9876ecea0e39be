-- A saga that only a person can settle waits as `parked`: no replica takes it up. Which way it was going is told by
-- `failure`: a saga that has turned round knows why.
alter table kit.sagas drop constraint sagas_status_check;
alter table kit.sagas add constraint sagas_status_check
  check (status in ('running', 'compensating', 'completed', 'compensated', 'parked'));
alter table kit.sagas add column parking jsonb;

-- The gauge that pages somebody counts these every few seconds, however many sagas there were.
create index sagas_parked on kit.sagas (definition) where status = 'parked';
