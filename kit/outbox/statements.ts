import { statement } from "#kit/postgres/postgres.ts";

export const insertEvents = statement(
  "kit-insert-events",
  `insert into kit.outbox (event_id, subject, headers, payload)
   select * from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::bytea[])`,
);

/** Held by the session of the one active relay of this database. */
export const tryRelayLock = statement(
  "kit-try-relay-lock",
  `select pg_try_advisory_lock(hashtext('souk outbox relay'), 1) as held`,
);

/**
 * Losing the cursor's last move repeats a publish, which is harmless; waiting for the disk at each batch is not. $1 is how long the
 * session may be silent, in milliseconds.
 */
export const prepareRelaySession = statement(
  "kit-prepare-relay-session",
  `select set_config('synchronous_commit', 'off', false), set_config('idle_session_timeout', $1, false)`,
);

export const keepAlive = statement("kit-keep-relay-alive", `select`);

/** `misplaced`: written in another cluster, or ahead of this one's transactions, as after a restore. */
export const selectCursor = statement(
  "kit-select-cursor",
  `select c.xid::text, c.seq, c.floor_seq,
          s.system_identifier as system_id,
          c.system_id <> s.system_identifier or c.xid >= pg_snapshot_xmax(pg_current_snapshot()) as misplaced
     from kit.relay_cursor c, pg_control_system() s`,
);

/** Waits until whoever is writing events has ended, and keeps others waiting until the transaction ends. */
export const lockOutbox = statement("kit-lock-outbox", `lock table kit.outbox in share mode`);

/** The cursor begins anew at this cluster's oldest running transaction; all rows that are there are published again. */
export const beginAnew = statement(
  "kit-begin-anew",
  `with written as (
     select case when is_called then last_value else 0 end as seq from kit.outbox_seq
   ), moved as (
     update kit.relay_cursor
        set xid = pg_snapshot_xmin(pg_current_snapshot()), seq = 0, floor_seq = written.seq, system_id = s.system_identifier
       from written, pg_control_system() s
   )
   insert into kit.republication as open (since, until_xid, until_seq)
   select '-infinity', '18446744073709551615', seq from written
   on conflict (only_row) do update
     set since = excluded.since, until_xid = excluded.until_xid, until_seq = excluded.until_seq, xid = '0', seq = 0,
         version = open.version + 1`,
);

/**
 * A row is ready when every transaction that could still add rows before it has ended: below the snapshot's oldest
 * running transaction id. Rows that are visible but not ready are returned too, so that the relay knows to come back.
 * A bare `order by xid` would mean the answer's text, by which 1000 comes before 999. Ids that this server has yet to assign are
 * those of rows that came from another one.
 */
export const selectBatch = statement(
  "kit-select-outbox-batch",
  `select o.xid::text as xid, o.seq, o.event_id, o.subject, o.headers, o.payload,
          o.xid < pg_snapshot_xmin(pg_current_snapshot()) as ready
     from kit.outbox o
    where (o.xid, o.seq) > ($1::xid8, $2::bigint) and o.xid < pg_snapshot_xmax(pg_current_snapshot()) and o.seq > $3
    order by o.xid, o.seq
    limit $4`,
);

export const moveCursor = statement(
  "kit-move-cursor",
  `update kit.relay_cursor set xid = $1::xid8, seq = $2, system_id = $3`,
);

/**
 * The next rows of the open republication: none where there is none, a single empty one where it has come to its end. Rows that
 * are too young or too old are passed over with the others, so that each step is bounded.
 */
export const selectRepublication = statement(
  "kit-select-republication",
  `select r.version, o.xid::text as xid, o.seq, o.wanted, o.event_id, o.subject, o.headers, o.payload
     from kit.republication r
     left join lateral (
       select o.xid, o.seq, wanted, o.event_id, o.subject,
              case when wanted then o.headers end as headers, case when wanted then o.payload end as payload
         from kit.outbox o, lateral (select o.created_at >= r.since and o.seq <= r.until_seq as wanted)
        where (o.xid, o.seq) > (r.xid, r.seq) and o.xid <= r.until_xid
        order by o.xid, o.seq
        limit $1
     ) o on true
    order by o.xid, o.seq`,
);

export const moveRepublication = statement(
  "kit-move-republication",
  `update kit.republication set xid = $1::xid8, seq = $2 where version = $3`,
);

export const endRepublication = statement(
  "kit-end-republication",
  `delete from kit.republication where version = $1`,
);

/**
 * Asks for all events since $1 that the relay has published. Transactions stamp rows with the time at which they began, so
 * a minute more is taken. A request while one is open widens that one and begins it again.
 */
export const requestRepublication = statement(
  "kit-request-republication",
  `insert into kit.republication as open (since, until_xid, until_seq)
   select $1::timestamptz - interval '1 minute', c.xid, s.last_value from kit.relay_cursor c, kit.outbox_seq s
   on conflict (only_row) do update
     set since = least(open.since, excluded.since), until_xid = greatest(open.until_xid, excluded.until_xid),
         until_seq = greatest(open.until_seq, excluded.until_seq), xid = '0', seq = 0, version = open.version + 1`,
);

/** Counts what a request would publish again; beyond $2 it is not worth a longer wait. */
export const countSince = statement(
  "kit-count-outbox-since",
  `select count(*) as events
     from (select from kit.outbox where created_at >= $1::timestamptz - interval '1 minute' limit $2) kept`,
);

/**
 * Exact up to 10,000 events, then by sequence numbers, some of which belong to transactions that were rolled back: a count would
 * cost most when there is least to spare. Without its order the limited count would first gather all that waits. Beside it the
 * snapshot's bounds, which tell whether somebody holds the horizon.
 */
export const measureOutbox = statement(
  "kit-measure-outbox",
  `select case when counted.pending > 10000 then greatest(counted.pending, s.last_value - c.seq) else counted.pending end::int
            as pending,
          coalesce(extract(epoch from now() - oldest.created_at), 0)::float as oldest_age_seconds,
          pg_snapshot_xmin(pg_current_snapshot())::text as horizon,
          pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot()) as held
     from kit.outbox_seq s, kit.relay_cursor c
     left join lateral (
       select o.created_at from kit.outbox o
        where (o.xid, o.seq) > (c.xid, c.seq) and o.xid < pg_snapshot_xmax(pg_current_snapshot()) and o.seq > c.floor_seq
        order by o.xid, o.seq limit 1
     ) oldest on true
     cross join lateral (
       select count(*) as pending
         from (select from kit.outbox o
                where (o.xid, o.seq) > (c.xid, c.seq) and o.xid < pg_snapshot_xmax(pg_current_snapshot())
                  and o.seq > c.floor_seq
                order by o.xid, o.seq limit 10001) waiting
     ) counted`,
);

/** Published rows stay a day, to be published again should the broker have lost them. */
export const emptyDays = statement("kit-empty-outbox-days", `select day from kit.empty_outbox_days() day`);
