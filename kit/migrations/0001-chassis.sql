create schema kit;

-- The one clock that decides anything. Tests shift it; production leaves the offset at zero.
create table kit.clock (
  only_row boolean primary key default true check (only_row),
  offset_ms bigint not null default 0
);
insert into kit.clock default values;

create function souk_now() returns timestamptz
language sql stable parallel safe
as $$ select now() + offset_ms * interval '1 millisecond' from kit.clock $$;

-- Events on their way to the stream. `xid` makes the snapshot horizon possible: ids of a sequence become visible out
-- of order, transaction ids below the oldest running transaction do not.
create table kit.outbox (
  xid xid8 not null default pg_current_xact_id(),
  seq bigint generated always as identity,
  event_id uuid not null,
  subject text not null,
  headers jsonb not null,
  payload bytea not null,
  created_at timestamptz not null default now(),
  primary key (xid, seq)
);

create table kit.relay_cursor (
  only_row boolean primary key default true check (only_row),
  xid xid8 not null default '0',
  seq bigint not null default 0
);
insert into kit.relay_cursor default values;

-- One row per event and consumer, written in the transaction of the event's effect.
create table kit.inbox (
  consumer text not null,
  event_id uuid not null,
  applied_at timestamptz not null default now(),
  primary key (consumer, event_id)
);
create index inbox_applied_at on kit.inbox (applied_at);

-- A command's first answer under the caller's key, or the tombstone that refuses a command cancelled before it came.
create table kit.idempotency (
  principal text not null,
  method text not null,
  key text not null,
  fingerprint bytea,
  outcome text not null check (outcome in ('answered', 'refused', 'cancelled')),
  response bytea,
  created_at timestamptz not null default now(),
  primary key (principal, method, key)
);
create index idempotency_created_at on kit.idempotency (created_at);

create table kit.sagas (
  saga_id text primary key,
  definition text not null,
  definition_version integer not null,
  subject_id text not null,
  correlation_id text not null,
  status text not null check (status in ('running', 'compensating', 'completed', 'compensated')),
  step integer not null default 0,
  input jsonb not null,
  results jsonb not null default '{}',
  failure jsonb,
  attempt integer not null default 0,
  step_started_at timestamptz not null,
  next_wakeup_at timestamptz not null,
  lease_owner text,
  lease_expires_at timestamptz,
  fencing_token bigint not null default 1,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null
) with (fillfactor = 70);
create index sagas_due on kit.sagas (next_wakeup_at) where status in ('running', 'compensating');
create index sagas_subject on kit.sagas (subject_id);
