-- The outbox in four parts, one for each of four days in turn. What is a day old is let go by emptying a part, which costs the
-- same for one row and for millions and leaves nothing for vacuum. The parts are there for good: no day can lack its own,
-- and nothing has to define tables while services run.
alter table kit.outbox rename to outbox_before;
alter index kit.outbox_pkey rename to outbox_before_pkey;

create sequence kit.outbox_seq;
select setval('kit.outbox_seq', greatest(1, (select max(seq) from kit.outbox_before)));

create table kit.outbox (
  xid xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('kit.outbox_seq'),
  day integer not null default (date_part('epoch', now())::bigint / 86400 % 4),
  event_id uuid not null,
  subject text not null,
  headers jsonb not null,
  payload bytea not null,
  created_at timestamptz not null default now(),
  primary key (xid, seq, day)
) partition by list (day);
create table kit.outbox_day_0 partition of kit.outbox for values in (0);
create table kit.outbox_day_1 partition of kit.outbox for values in (1);
create table kit.outbox_day_2 partition of kit.outbox for values in (2);
create table kit.outbox_day_3 partition of kit.outbox for values in (3);
-- Finds where a point in time begins, for nearly nothing per insert.
create index outbox_created_at on kit.outbox using brin (created_at) with (autosummarize = on);

insert into kit.outbox (xid, seq, event_id, subject, headers, payload, created_at)
select xid, seq, event_id, subject, headers, payload, created_at from kit.outbox_before;
drop table kit.outbox_before;

-- `system_id` is the cluster in which the cursor was written: in another one its transaction ids mean nothing. Rows up to
-- `floor_seq` were there when that was noticed, and are left to the republication.
alter table kit.relay_cursor
  add column system_id bigint,
  add column floor_seq bigint not null default 0;

-- Events that the relay publishes again, beside the new ones: those created since a time, as far as a transaction id and a
-- sequence number, from a position on. One at a time; a second request widens the first.
create table kit.republication (
  only_row boolean primary key default true check (only_row),
  since timestamptz not null,
  until_xid xid8 not null,
  until_seq bigint not null,
  xid xid8 not null default '0',
  seq bigint not null default 0,
  -- Counts the requests, so that the relay does not move a position that a request has just set back.
  version bigint not null default 1
);

-- Empties the parts in which nothing is young and nothing waits, and returns which. Runs as the owner, for a role that may not
-- truncate: what may go is decided here. Days overlap by a few minutes, so that no clock or transaction falls between two.
create function kit.empty_outbox_days() returns setof integer
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '250ms'
as $$
declare
  first_kept bigint := date_part('epoch', public.souk_now() - interval '24 hours 10 minutes')::bigint / 86400;
  last_kept bigint := date_part('epoch', public.souk_now() + interval '10 minutes')::bigint / 86400;
  part integer;
  filled boolean;
  waiting boolean;
begin
  for part in 0..3 loop
    continue when part in (select kept % 4 from generate_series(first_kept, last_kept) kept);
    execute format('select exists (select from kit.outbox_day_%s)', part) into filled;
    continue when not filled;
    execute format('lock table kit.outbox_day_%s in access exclusive mode', part);
    select exists (select from kit.republication)
        or exists (select from kit.outbox o, kit.relay_cursor c
                    where o.day = part and (o.xid, o.seq) > (c.xid, c.seq) and o.seq > c.floor_seq)
      into waiting;
    continue when waiting;
    execute format('truncate kit.outbox_day_%s', part);
    return next part;
  end loop;
end $$;
