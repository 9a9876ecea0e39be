-- How far a consumer's stream has been looked through for events that the server has stopped offering. A round waits with
-- `target_sequence`, until all that was delivered up to there is settled.
create table kit.consumer_sweeps (
  consumer text primary key,
  swept_sequence bigint not null default 0,
  target_sequence bigint,
  rounds integer not null default 0,
  -- The server whose memory of repeated deliveries counted; it may forget when it starts again.
  server text not null default '',
  began_at timestamptz not null default now()
);
