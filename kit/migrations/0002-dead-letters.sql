-- Events that a consumer could not apply, one row each, however often they are delivered: written before the message is
-- terminated, so a crash between the two repeats the insert, which the unique key drops. The id alone would not do: a forged
-- message may carry the id of a real one.
create table kit.dead_letters (
  dead_letter_id text primary key,
  consumer text not null,
  event_id text not null,
  payload_digest bytea not null,
  stream text not null,
  subject text not null,
  event_type text not null,
  aggregate_id text not null,
  aggregate_version bigint not null,
  status text not null default 'waiting' check (status in ('waiting', 'replayed', 'discarded')),
  reason text not null,
  message text not null,
  deliveries integer not null,
  headers jsonb not null,
  payload bytea not null,
  -- [{at, actor, action, detail}], oldest first.
  history jsonb not null default '[]',
  created_at timestamptz not null,
  unique (consumer, event_id, payload_digest)
);
create index dead_letters_by_status on kit.dead_letters (status, dead_letter_id);
