import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { planted } from "#kit/failpoints/planted.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Delivery } from "./delivery.ts";
import { park } from "./park.ts";
import { deleteInbox, insertInbox, selectPositions, upsertPositions } from "./statements.ts";

/** What became of an event: `repeated` and `old` had no effect this time, `parked` waits for an earlier one. */
export type Outcome = "applied" | "repeated" | "old" | "parked";

/** Whose events are applied. */
export interface Applying {
  readonly db: Database;
  /** The durable consumer. */
  readonly durable: string;
  /** Runs in the same transaction, behind the effects. */
  readonly afterwards?: (tx: Transaction, outcomes: readonly Outcome[]) => Promise<unknown>;
  /** Takes an aggregate nobody here has heard of as it comes, instead of waiting for what came before. */
  readonly adopt?: boolean;
}

/** Applies one event, unless this consumer has applied it before, or it has to wait. */
export async function applyOne(applying: Applying, delivery: Delivery): Promise<Outcome> {
  const [outcome] = await applyBatch(applying, [delivery]);
  return outcome ?? "repeated";
}

/** Applies several events in one transaction: all of them, or none when one fails. Returns what became of each. */
export async function applyBatch(applying: Applying, deliveries: readonly Delivery[]): Promise<Outcome[]> {
  const prepared = await Promise.all(
    deliveries.map(({ consumer: on, event, context }) => on?.prepare?.(event, context)),
  );
  const outcomes: Outcome[] = deliveries.map(() => "repeated");
  const places = deliveries.map((delivery, i) => ({ delivery, prepared: prepared[i], i }));
  const chains = [...Map.groupBy(places, ({ delivery }) => delivery.context.aggregateId).values()];
  await applying.db.transaction(async (tx) => {
    const batch = await openBatch(tx, applying, deliveries, outcomes);
    // All must have ended before the transaction does: a straggler's statement would come after the rollback.
    const ended = await Promise.allSettled(chains.map((chain) => applyChain(batch, chain)));
    for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
    await closeBatch(batch, applying, deliveries);
    await applying.afterwards?.(tx, outcomes);
  });
  return outcomes;
}

interface Place {
  readonly delivery: Delivery;
  readonly prepared: unknown;
  readonly i: number;
}

interface Batch {
  readonly tx: Transaction;
  readonly fresh: Set<string>;
  /** Of aggregates whose order is kept; absent where the consumer has not heard of one. */
  readonly positions: Map<string, bigint>;
  readonly moved: Set<string>;
  readonly outcomes: Outcome[];
  readonly adopt: boolean;
}

async function openBatch(
  tx: Transaction,
  { durable, adopt = false }: Applying,
  deliveries: readonly Delivery[],
  outcomes: Outcome[],
): Promise<Batch> {
  const ids = deliveries.map(({ context }) => context.eventId);
  const ordered = deliveries.filter(({ previousVersion }) => previousVersion !== undefined);
  const aggregates = [...new Set(ordered.map(({ context }) => context.aggregateId))];
  const [rows, known] = await Promise.all([
    tx.query<{ event_id: string }>(insertInbox, [durable, ids]),
    aggregates.length > 0
      ? tx.query<{ aggregate_id: string; version: bigint }>(selectPositions, [durable, aggregates])
      : [],
  ]);
  if (armed) await reach("inbox:inserted");
  const fresh = new Set(rows.map((row) => row.event_id));
  const positions = new Map(known.map((row) => [row.aggregate_id, row.version]));
  return { tx, fresh, positions, moved: new Set(), outcomes, adopt };
}

/** Events of one aggregate keep their order; those of different ones need none among themselves. */
async function applyChain(batch: Batch, chain: readonly Place[]) {
  const inOrder = chain.every(({ delivery }) => delivery.previousVersion !== undefined);
  for (const place of inOrder ? chain.toSorted(byVersion) : chain) {
    batch.outcomes[place.i] = await applyPlace(batch, place);
  }
}

const byVersion = (one: Place, other: Place) =>
  Number(one.delivery.context.aggregateVersion - other.delivery.context.aggregateVersion);

async function applyPlace({ tx, fresh, positions, moved, adopt }: Batch, place: Place): Promise<Outcome> {
  const { consumer, event, context, previousVersion } = place.delivery;
  // Deleting also drops a second delivery of the same event within this batch.
  if (!fresh.delete(context.eventId) && !planted("no-inbox")) return "repeated";
  if (previousVersion !== undefined) {
    const position = positions.get(context.aggregateId) ?? (adopt ? previousVersion : 0n);
    if (position < previousVersion) return "parked";
    if (position > previousVersion) return "old";
  }
  await consumer?.apply(tx, event, context, place.prepared);
  if (previousVersion !== undefined) {
    positions.set(context.aggregateId, context.aggregateVersion);
    moved.add(context.aggregateId);
  }
  return "applied";
}

async function closeBatch(
  { tx, positions, moved, outcomes }: Batch,
  { durable }: Applying,
  deliveries: readonly Delivery[],
) {
  const parked = deliveries.filter((_, i) => outcomes[i] === "parked");
  if (parked.length > 0) {
    await Promise.all([
      tx.query(deleteInbox, [durable, parked.map(({ context }) => context.eventId)]),
      park(tx, durable, parked),
    ]);
  }
  if (moved.size === 0) return;
  const aggregates = [...moved];
  const versions = aggregates.map((aggregateId) => positions.get(aggregateId));
  tx.beforeCommit(() => ({ statement: upsertPositions, values: [durable, aggregates, versions] }));
}
