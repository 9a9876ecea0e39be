// What the orders service's statements do. Each follows the SQL of its name in services/orders/.
import type { KeyedRefund } from "../../../services/orders/refund-key-store.ts";
import { type StatementModels, uniqueViolation } from "../model-database.ts";

/** One event of an order. */
interface OrderEventRow {
  readonly type: string;
  readonly payload: Uint8Array;
}

/** An order's view. */
export interface OrderViewRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly version: bigint;
  readonly document: Uint8Array;
  readonly placedAt: Date;
  readonly updatedAt: Date;
}

/** The orders service's tables; events by `orderId version`, orders by `customerId key`, refunds by `requestedBy kind key`. */
export interface OrderTables {
  readonly events: Map<string, OrderEventRow>;
  readonly views: Map<string, OrderViewRow>;
  readonly keys: Map<string, string>;
  readonly refundKeys: Map<string, KeyedRefund>;
}

export const createOrderTables = (): OrderTables => ({
  events: new Map(),
  views: new Map(),
  keys: new Map(),
  refundKeys: new Map(),
});

/** An order's events in the order of their versions, from 1 to the first gap. */
export function eventsOf({ events }: OrderTables, orderId: string): OrderEventRow[] {
  const found: OrderEventRow[] = [];
  for (let version = 1; ; version += 1) {
    const event = events.get(`${orderId} ${version}`);
    if (!event) return found;
    found.push(event);
  }
}

/** Models of the order store's statements. */
export function orderStatements(tables: OrderTables, now: () => Date): StatementModels {
  const { events, views, keys, refundKeys } = tables;
  return {
    "orders-insert-first-events": ([orderId, customerId, key, type, payload, document], journal) => {
      if (keys.has(`${customerId} ${key}`)) return [];
      journal.put(keys, `${customerId} ${key}`, orderId);
      journal.put(events, `${orderId} 1`, { type, payload });
      const times = { placedAt: now(), updatedAt: now() };
      journal.put(views, orderId, {
        orderId,
        customerId,
        status: "pending",
        version: 1n,
        document,
        ...times,
      });
      return [{ placed_at: now() }];
    },
    "orders-insert-next-events": ([orderId, version, type, payload, status, document], journal) => {
      if (events.has(`${orderId} ${version}`)) throw uniqueViolation("order_events_pkey");
      journal.put(events, `${orderId} ${version}`, { type, payload });
      const view = views.get(orderId);
      if (view) journal.put(views, orderId, { ...view, status, version, document, updatedAt: now() });
      return [];
    },
    "orders-select-events": ([orderId]) => eventsOf(tables, orderId),
    "orders-select-view": ([orderId]) => [views.get(orderId) ?? []].flat(),
    "orders-lock-view": () => [],
    "orders-claim-refund-key": ([requestedBy, kind, key, orderId, refundId], journal) => {
      const id = `${requestedBy} ${kind} ${key}`;
      const standing = refundKeys.get(id) ?? { orderId, refundId };
      journal.put(refundKeys, id, standing);
      return [standing];
    },
    "orders-select-order-of-key": ([customerId, key]) => {
      const view = views.get(keys.get(`${customerId} ${key}`) ?? "");
      return view ? [{ ...view, placed: events.get(`${view.orderId} 1`)?.payload }] : [];
    },
  };
}
