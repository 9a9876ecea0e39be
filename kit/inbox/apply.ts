import { planted } from "#kit/failpoints/planted.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Delivery } from "./delivery.ts";
import { insertInbox } from "./statements.ts";

/** Applies one event, unless this consumer has applied it before. */
export const applyOne = (db: Database, consumer: string, delivery: Delivery): Promise<void> =>
  applyBatch(db, consumer, [delivery]);

/** Applies several events in one transaction: all of them, or none when one fails. */
export async function applyBatch(
  db: Database,
  consumer: string,
  deliveries: readonly Delivery[],
): Promise<void> {
  const prepared = await Promise.all(
    deliveries.map(({ consumer: on, event, context }) => on.prepare?.(event, context)),
  );
  const chains = chainsByAggregate(deliveries.map((delivery, i) => ({ delivery, prepared: prepared[i] })));
  await db.transaction(async (tx) => {
    const rows = await tx.query<{ event_id: string }>(insertInbox, [
      consumer,
      deliveries.map(({ context }) => context.eventId),
    ]);
    const fresh = new Set(rows.map((row) => row.event_id));
    // All must have ended before the transaction does: a straggler's statement would come after the rollback.
    const ended = await Promise.allSettled(chains.map((chain) => applyChain(tx, chain, fresh)));
    for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
  });
}

interface PreparedDelivery {
  readonly delivery: Delivery;
  readonly prepared: unknown;
}

/** Events of one aggregate keep their order; those of different ones need none among themselves. */
function chainsByAggregate(deliveries: readonly PreparedDelivery[]): PreparedDelivery[][] {
  return [...Map.groupBy(deliveries, ({ delivery }) => delivery.context.aggregateId).values()];
}

async function applyChain(tx: Transaction, chain: readonly PreparedDelivery[], fresh: Set<string>) {
  for (const { delivery, prepared } of chain) {
    // Deleting also drops a second delivery of the same event within this batch.
    if (!fresh.delete(delivery.context.eventId) && !planted("no-inbox")) continue;
    await delivery.consumer.apply(tx, delivery.event, delivery.context, prepared);
  }
}
