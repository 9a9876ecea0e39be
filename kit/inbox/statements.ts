import { statement } from "#kit/postgres/postgres.ts";
import { inboxRetentionDays } from "./inbox.ts";

/** Returns those of the events that this consumer has not applied; a concurrent delivery of one waits here. */
export const insertInbox = statement(
  "kit-insert-inbox",
  `insert into kit.inbox (consumer, event_id)
   select $1, event_id from unnest($2::uuid[]) as event_id
   on conflict do nothing
   returning event_id`,
);

/** $1 consumer, $2 event ids. What is parked has had no effect, so it must not count as applied. */
export const deleteInbox = statement(
  "kit-delete-inbox",
  `delete from kit.inbox where consumer = $1 and event_id = any($2::uuid[])`,
);

export const deleteForgotten = statement(
  "kit-delete-forgotten-inbox",
  `delete from kit.inbox where (consumer, event_id) in (
     select consumer, event_id from kit.inbox where applied_at < now() - interval '${inboxRetentionDays} days' limit 10000)`,
);

/** $1 consumer, $2 aggregate ids. */
export const selectPositions = statement(
  "kit-select-positions",
  `select aggregate_id, version from kit.positions where consumer = $1 and aggregate_id = any($2::text[])`,
);

/** $1 consumer, $2 aggregate ids, $3 versions; never moves back. */
export const upsertPositions = statement(
  "kit-upsert-positions",
  `insert into kit.positions (consumer, aggregate_id, version)
   select $1, * from unnest($2::text[], $3::bigint[])
   on conflict (consumer, aggregate_id) do update
     set version = excluded.version, moved_at = now() where positions.version < excluded.version`,
);

/** $1 consumer, $2 aggregate id, $3 version, $4 the version before it: only what comes next can be passed over. */
export const passVersion = statement(
  "kit-pass-version",
  `update kit.positions set version = $3, moved_at = now() where consumer = $1 and aggregate_id = $2 and version = $4`,
);

/**
 * $1 consumer, $2 aggregate id, $3 the version before an event that failed. From then on the aggregate is known: what comes behind
 * the event waits for it, however long. Only for an event whose turn it was: what has not come yet would be ignored as too late.
 */
export const knowAggregate = statement(
  "kit-know-aggregate",
  `insert into kit.positions (consumer, aggregate_id, version) values ($1, $2, $3) on conflict do nothing`,
);

/** An aggregate that was silent for so long counts as new to the consumer. */
export const deleteOldPositions = statement(
  "kit-delete-old-positions",
  `delete from kit.positions where (consumer, aggregate_id) in (
     select consumer, aggregate_id from kit.positions where moved_at < now() - interval '400 days' limit 10000)`,
);

/** $1 consumer, $2 event id. Returns how often the handler was started alone, this time included. */
export const countAttempt = statement(
  "kit-count-attempt",
  `insert into kit.handler_attempts (consumer, event_id) values ($1, $2)
   on conflict (consumer, event_id) do update set attempts = handler_attempts.attempts + 1, started_at = now()
   returning attempts`,
);

/** $1 consumer, $2 event id. */
export const deleteAttempts = statement(
  "kit-delete-attempts",
  `delete from kit.handler_attempts where consumer = $1 and event_id = $2`,
);

/** Of processes that died and whose event was then applied elsewhere. */
export const deleteOldAttempts = statement(
  "kit-delete-old-attempts",
  `delete from kit.handler_attempts where started_at < now() - interval '14 days'`,
);
