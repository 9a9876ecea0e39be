import { type Database, statement } from "#kit/postgres/postgres.ts";

const lookedAtOnce = 1_000;

/**
 * Ids begin with their time, so the oldest sagas are found by the primary key: an index on a time that changes with each
 * transition would make every transition dearer.
 */
const deleteEnded = statement(
  "kit-delete-ended-sagas",
  `delete from kit.sagas where saga_id in (
     select saga_id from (select saga_id, status, updated_at from kit.sagas order by saga_id limit $1) oldest
      where status in ('completed', 'compensated') and updated_at < souk_now() - interval '30 days')
   returning 1`,
);

/** Deletes sagas that ended more than 30 days ago, in bounded steps. What is running or parked stays, however old. */
export async function forgetSagas(db: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await db.query(deleteEnded, [lookedAtOnce])).length > 0);
}
