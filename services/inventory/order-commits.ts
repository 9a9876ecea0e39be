import type { Transaction } from "#kit/postgres/postgres.ts";
import { type Announcing, announceThresholds } from "./announcements.ts";
import { type ConfirmedOrder, commit, type Sale } from "./reservation-store.ts";

/** Turns reservations into sales, those that are asked for together in one transaction in one statement. */
export interface OrderCommits {
  /**
   * Resolves to undefined where the order has no reservation of that id.
   * @throws Error when pieces that had gone back to stock are too few for several orders at once: asked for one by one,
   *   each is judged for itself, which is what the inbox does with a batch that failed.
   */
  commit(announcing: Announcing, order: ConfirmedOrder): Promise<Sale | undefined>;
}

interface Batch {
  readonly orders: ConfirmedOrder[];
  readonly sales: Promise<Map<string, Sale>>;
}

/**
 * Makes the gatherer. The inbox applies a batch of events in one transaction; one statement per event would lock stock
 * in the order of the events, and could wait in a circle with a reservation. One statement for all locks in SKU order.
 */
export function createOrderCommits(): OrderCommits {
  const batches = new WeakMap<Transaction, Batch>();
  const openBatch = (announcing: Announcing): Batch => {
    const orders: ConfirmedOrder[] = [];
    const sales = Promise.resolve().then(() => {
      batches.delete(announcing.tx);
      return commitAll(announcing, orders);
    });
    const batch = { orders, sales };
    batches.set(announcing.tx, batch);
    return batch;
  };
  return {
    async commit(announcing, order) {
      const batch = batches.get(announcing.tx) ?? openBatch(announcing);
      batch.orders.push(order);
      return (await batch.sales).get(order.orderId);
    },
  };
}

async function commitAll(
  announcing: Announcing,
  orders: readonly ConfirmedOrder[],
): Promise<Map<string, Sale>> {
  const { sales, changes } = await commit(announcing.tx, orders);
  const short = [...sales.values()].some((sale) => sale.shortSkus.length > 0);
  if (short && orders.length > 1) throw new Error("too few pieces for several confirmed orders at once");
  announceThresholds(announcing, changes);
  return sales;
}
