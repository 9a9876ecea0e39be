import { type Database, statement, type Transaction } from "#kit/postgres/postgres.ts";

const rememberStatement = statement(
  "remember-processor-event",
  `insert into processor_events (event_id, authorize_key, kind, received_at) values ($1, $2, $3, souk_now())
   on conflict (event_id) do nothing returning event_id`,
);

/** Remembers a webhook's event; false when it was remembered before. */
export async function rememberProcessorEvent(
  tx: Transaction,
  event: { readonly eventId: string; readonly authorizeKey: string; readonly kind: string },
): Promise<boolean> {
  const rows = await tx.query(rememberStatement, [event.eventId, event.authorizeKey, event.kind]);
  return rows.length === 1;
}

const deletedAtOnce = 1_000;

/** Of two replicas neither waits for the other's rows. */
const deleteForgotten = statement(
  "forget-processor-events",
  `delete from processor_events where ctid = any (array(
     select ctid from processor_events where received_at < souk_now() - interval '30 days'
      order by received_at limit $1 for update skip locked))
   returning 1`,
);

/**
 * Deletes webhooks' events that are more than 30 days old, in bounded steps, until none is left or the signal aborts. The processor
 * repeats a webhook for three days, and its signature counts for five minutes; a payment never moves backwards in any case.
 */
export async function forgetProcessorEvents(db: Database, signal: AbortSignal): Promise<void> {
  let deleted = deletedAtOnce;
  while (deleted === deletedAtOnce && !signal.aborted)
    deleted = (await db.query(deleteForgotten, [deletedAtOnce])).length;
}
