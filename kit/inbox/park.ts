import type { Queryable, Transaction } from "#kit/postgres/postgres.ts";
import type { Delivery } from "./delivery.ts";
import type { OfferedEvent } from "./offered.ts";
import { insertParked, lockParked, selectParkedOf, selectParkedPage } from "./parked-statements.ts";
import { upsertPositions } from "./statements.ts";

/** An event that waits for an earlier version of its aggregate. */
export interface ParkedEvent extends Omit<OfferedEvent, "deliveries"> {
  readonly consumer: string;
  readonly eventId: string;
  readonly aggregateId: string;
  readonly aggregateVersion: bigint;
  /** The version it waits for. */
  readonly previousVersion: bigint;
  /** How often its handler failed since. */
  readonly attempts: number;
  readonly parkedAt: Date;
}

/** Puts events aside until what came before them has been applied. */
export async function park(tx: Transaction, durable: string, deliveries: readonly Delivery[]): Promise<void> {
  await tx.query(insertParked, [
    durable,
    deliveries.map(({ context }) => context.eventId),
    deliveries.map(({ context }) => context.aggregateId),
    deliveries.map(({ context }) => context.aggregateVersion),
    deliveries.map(({ previousVersion }) => previousVersion),
    deliveries.map(({ offered }) => offered.stream),
    deliveries.map(({ offered }) => offered.subject),
    deliveries.map(({ offered }) => JSON.stringify(offered.headers)),
    deliveries.map(({ offered }) => offered.payload),
  ]);
}

/** Where a page of parked events begins: behind this one. */
export interface ParkedPageStart {
  readonly eventId: string;
  readonly consumer: string;
}

/** Parked events of all consumers, oldest first. */
export const readParkedPage = (
  source: Queryable,
  { after, limit }: { readonly after: ParkedPageStart | undefined; readonly limit: number },
): Promise<ParkedEvent[]> =>
  source.query<ParkedEvent>(selectParkedPage, [after?.eventId ?? null, after?.consumer ?? null, limit]);

/**
 * Goes on without the version that a parked event waits for: should it come after all, it is ignored. Returns the events of the
 * aggregate that wait no more, in order; undefined where no such event is parked, or it is just being applied.
 */
export async function skipMissing(
  tx: Transaction,
  { consumer, eventId }: ParkedPageStart,
): Promise<readonly ParkedEvent[] | undefined> {
  const [parked] = await tx.query<ParkedEvent>(lockParked, [consumer, eventId]);
  if (!parked) return undefined;
  await tx.query(upsertPositions, [consumer, [parked.aggregateId], [parked.previousVersion]]);
  const all = await tx.query<ParkedEvent>(selectParkedOf, [consumer, parked.aggregateId]);
  let position = parked.previousVersion;
  return all.filter((one) => {
    if (one.previousVersion !== position) return false;
    position = one.aggregateVersion;
    return true;
  });
}
