import { newUuid } from "#kit/ids/ids.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { announceReleased, announceThresholds } from "./announcements.ts";
import { expire } from "./reservation-store.ts";

/** What the job works with. */
export interface ExpiryOptions {
  readonly db: Database;
  /** Reservations per transaction at most: bounds how long stock rows stay locked. */
  readonly batchSize: number;
  /** Stops the run between two batches. */
  readonly signal: AbortSignal;
}

/** Returns the pieces of all reservations whose time has run out. */
export async function expireReservations(options: ExpiryOptions): Promise<void> {
  const { db, batchSize, signal } = options;
  let ended = batchSize;
  while (ended === batchSize && !signal.aborted) ended = await db.transaction(expireBatch(options));
}

const expireBatch =
  ({ batchSize }: ExpiryOptions) =>
  async (tx: Transaction): Promise<number> => {
    const { reservations, changes } = await expire(tx, batchSize);
    const announcing = { tx, cause: { correlationId: newUuid() } };
    for (const reservation of reservations) announceReleased(announcing, reservation);
    announceThresholds(announcing, changes);
    return reservations.length;
  };
