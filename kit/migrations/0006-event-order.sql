-- What tells two messages of one id apart: a forged one may carry the id of a real one.
alter table kit.dead_letters rename column payload_digest to digest;

-- How far a consumer has come with each aggregate, for consumers that keep their order. Written in the effect's transaction.
create table kit.positions (
  consumer text not null,
  aggregate_id text not null,
  version bigint not null,
  moved_at timestamptz not null default now(),
  primary key (consumer, aggregate_id)
) with (fillfactor = 80);

-- Events that came before one their aggregate had earlier. They are acknowledged: waiting here costs no deliveries.
create table kit.parked_events (
  consumer text not null,
  event_id uuid not null,
  aggregate_id text not null,
  aggregate_version bigint not null,
  previous_version bigint not null,
  stream text not null,
  subject text not null,
  headers jsonb not null,
  payload bytea not null,
  attempts integer not null default 0,
  parked_at timestamptz not null,
  next_attempt_at timestamptz not null,
  primary key (consumer, event_id)
);
create index parked_events_by_aggregate on kit.parked_events (consumer, aggregate_id, aggregate_version);

-- Events that are handled alone because an earlier delivery did not end well; counted before the handler starts, so that a
-- handler which ends its process is found out.
create table kit.handler_attempts (
  consumer text not null,
  event_id uuid not null,
  attempts integer not null default 1,
  started_at timestamptz not null default now(),
  primary key (consumer, event_id)
);
