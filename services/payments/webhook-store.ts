import { statement, type Transaction } from "#kit/postgres/postgres.ts";

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
