import { type Database, statement } from "#kit/postgres/postgres.ts";

const deletedAtOnce = 1_000;

/** In the order of the index on their time; of two replicas neither waits for the other's rows. */
const deleteForgotten = statement(
  "kit-delete-forgotten-answers",
  `delete from kit.idempotency where ctid = any (array(
     select ctid from kit.idempotency where created_at < souk_now() - interval '24 hours'
      order by created_at limit $1 for update skip locked))
   returning 1`,
);

/**
 * Deletes answers and tombstones that are more than 24 hours old, in bounded steps, until none is left or the signal aborts.
 * From then on the natural keys have to hold (docs/decisions/0010-one-memory-for-answers.md).
 */
export async function forgetAnswers(db: Database, signal: AbortSignal): Promise<void> {
  let deleted = deletedAtOnce;
  while (deleted === deletedAtOnce && !signal.aborted) {
    deleted = (await db.query(deleteForgotten, [deletedAtOnce])).length;
  }
}
