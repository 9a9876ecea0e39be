import type { Transaction } from "#kit/postgres/postgres.ts";
import { type ConfirmedOrder, commitHeld, type ReservationChange } from "./reservation-store.ts";

/** Commits reservations, gathering those that are asked for together in one transaction. */
export interface OrderCommits {
  /** Resolves to undefined where the order has no reservation of that id. */
  commit(tx: Transaction, order: ConfirmedOrder): Promise<ReservationChange | undefined>;
}

interface Batch {
  readonly orders: ConfirmedOrder[];
  readonly committed: Promise<Map<string, ReservationChange>>;
}

/**
 * Makes the gatherer. The inbox applies a batch of events in one transaction; one statement per event would lock stock
 * in the order of the events, and could wait in a circle with a reservation. One statement for all locks in SKU order.
 */
export function createOrderCommits(): OrderCommits {
  const batches = new WeakMap<Transaction, Batch>();
  const openBatch = (tx: Transaction): Batch => {
    const orders: ConfirmedOrder[] = [];
    const committed = Promise.resolve().then(() => {
      batches.delete(tx);
      return commitHeld(tx, orders);
    });
    const batch = { orders, committed };
    batches.set(tx, batch);
    return batch;
  };
  return {
    async commit(tx, order) {
      const batch = batches.get(tx) ?? openBatch(tx);
      batch.orders.push(order);
      return (await batch.committed).get(order.orderId);
    },
  };
}
