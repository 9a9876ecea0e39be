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

/** Losing the cursor's last move repeats a publish, which is harmless; waiting for the disk at each batch is not. */
export const commitAsynchronously = statement("kit-commit-asynchronously", `set synchronous_commit = off`);

export const selectCursor = statement("kit-select-cursor", `select xid::text, seq from kit.relay_cursor`);

/**
 * A row is ready when every transaction that could still add rows before it has ended: below the snapshot's oldest
 * running transaction id. Rows that are visible but not ready are returned too, so that the relay knows to come back.
 * A bare `order by xid` would mean the answer's text, by which 1000 comes before 999.
 */
export const selectBatch = statement(
  "kit-select-outbox-batch",
  `select o.xid::text as xid, o.seq, o.event_id, o.subject, o.headers, o.payload,
          o.xid < pg_snapshot_xmin(pg_current_snapshot()) as ready
     from kit.outbox o
    where (o.xid, o.seq) > ($1::xid8, $2::bigint)
    order by o.xid, o.seq
    limit $3`,
);

export const moveCursor = statement(
  "kit-move-cursor",
  `update kit.relay_cursor set xid = $1::xid8, seq = $2`,
);

export const measureOutbox = statement(
  "kit-measure-outbox",
  `select count(*)::int as pending, coalesce(extract(epoch from now() - min(o.created_at)), 0)::float as oldest_age_seconds
     from kit.outbox o, kit.relay_cursor c
    where (o.xid, o.seq) > (c.xid, c.seq)`,
);

/**
 * Published rows stay a day, to be published again should the broker have lost them. Only the oldest are looked at, so that the
 * cost does not grow with the day's events.
 */
export const deletePublished = statement(
  "kit-delete-published",
  `delete from kit.outbox where (xid, seq) in (
     select o.xid, o.seq
       from (select xid, seq, created_at from kit.outbox order by xid, seq limit $1) o, kit.relay_cursor c
      where (o.xid, o.seq) <= (c.xid, c.seq) and o.created_at < now() - interval '24 hours')
   returning 1`,
);
