import { type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";
import { fromEventPayload, fromPlaced, toDocument, toEventPayload } from "./messages.ts";
import {
  evolve,
  fold,
  type Order,
  type OrderEvent,
  type OrderPlaced,
  type OrderStatus,
  orderNotFound,
} from "./order.ts";
import type { OrderView } from "./order-view.ts";

const selectEvents = statement(
  "orders-select-events",
  `select type, payload from order_events where order_id = $1 order by version`,
);

/**
 * The primary key of the events is the concurrency check: two writers of one version cannot both commit. An order is placed at
 * a whole millisecond, since that is what a page token can say: finer times would make the next page skip orders. Nothing is
 * written where the customer's key stands for an order already.
 */
const insertFirstEvent = statement(
  "orders-insert-first-event",
  `with key as (
     insert into order_keys (customer_id, key, order_id) values ($4, $6, $1) on conflict do nothing returning order_id),
   event as (
     insert into order_events (order_id, version, type, payload, occurred_at)
     select order_id, 1, $2, $3, souk_now() from key
     returning occurred_at)
   insert into order_views (order_id, customer_id, status, version, document, placed_at, updated_at)
   select $1, $4, 'pending', 1, $5, date_trunc('milliseconds', occurred_at), occurred_at from event
   returning placed_at`,
);

const insertNextEvent = statement(
  "orders-insert-next-event",
  `with event as (
     insert into order_events (order_id, version, type, payload, occurred_at) values ($1, $2, $3, $4, souk_now())
     returning occurred_at)
   update order_views set status = $5, version = $2, document = $6, updated_at = event.occurred_at
     from event where order_id = $1`,
);

const columns = `order_id as "orderId", customer_id as "customerId", status, document, version,
       placed_at as "placedAt", updated_at as "updatedAt"`;

const selectView = statement("orders-select-view", `select ${columns} from order_views where order_id = $1`);

const selectViews = statement(
  "orders-select-views",
  `select ${columns} from order_views where order_id = any($1)`,
);

const selectOrderOfKey = statement(
  "orders-select-order-of-key",
  `select ${columns}, (select payload from order_events e where e.order_id = v.order_id and e.version = 1) as placed
     from order_views v where order_id = (select order_id from order_keys k where k.customer_id = $1 and k.key = $2)`,
);

const selectPage = statement(
  "orders-select-page",
  `select ${columns} from order_views
    where customer_id = $1 and ($2::text is null or status = $2)
      and ($3::timestamptz is null or (placed_at, order_id) < ($3, $4))
    order by placed_at desc, order_id desc
    limit $5`,
);

/**
 * Writes an order's first event and its view, under the key its customer asked for it with. Returns the order and when it was
 * placed; undefined where the key stands for an order already.
 */
export async function insertOrder(
  tx: Transaction,
  event: OrderEvent,
  key: string,
): Promise<{ order: Order; placedAt: Date } | undefined> {
  const order = evolve(undefined, event);
  const [row] = await tx.query<{ placed_at: Date }>(insertFirstEvent, [
    order.orderId,
    event.type,
    toEventPayload(order, event),
    order.customerId,
    toDocument(order),
    key,
  ]);
  return row && { order, placedAt: row.placed_at };
}

/** Reads the order that a customer's key stands for, as it was placed and as it is now. */
export async function readOrderOfKey(
  source: Queryable,
  customerId: string,
  key: string,
): Promise<{ placed: OrderPlaced; view: OrderView } | undefined> {
  const [row] = await source.query<OrderView & { placed: Buffer }>(selectOrderOfKey, [customerId, key]);
  return row && { placed: fromPlaced(row.placed), view: row };
}

/**
 * Loads an order from its events, decides, and appends what was decided. Returns the order after it.
 * @throws ServiceError ORDER_NOT_FOUND, and what `decide` throws.
 */
export async function updateOrder(
  tx: Transaction,
  orderId: string,
  decide: (order: Order) => OrderEvent,
): Promise<Order> {
  const rows = await tx.query<{ type: string; payload: Buffer }>(selectEvents, [orderId]);
  const before = fold(rows.map(({ type, payload }) => fromEventPayload(type, payload)));
  if (!before) throw orderNotFound(orderId);
  const event = decide(before);
  const order = evolve(before, event);
  await tx.query(insertNextEvent, [
    orderId,
    order.version,
    event.type,
    toEventPayload(order, event),
    order.status,
    toDocument(order),
  ]);
  return order;
}

/** Reads one order's view. */
export async function readView(source: Queryable, orderId: string): Promise<OrderView | undefined> {
  const [view] = await source.query<OrderView>(selectView, [orderId]);
  return view;
}

/** Reads the views of several orders, in no particular order. */
export const readViews = (source: Queryable, orderIds: readonly string[]): Promise<OrderView[]> =>
  source.query<OrderView>(selectViews, [orderIds]);

/** Where a page of orders begins: behind this order. */
export interface PageStart {
  readonly placedAt: Date;
  readonly orderId: string;
}

/** Reads a customer's orders, newest first. */
export const readPage = (
  source: Queryable,
  page: { customerId: string; status: OrderStatus | undefined; after: PageStart | undefined; limit: number },
): Promise<OrderView[]> =>
  source.query<OrderView>(selectPage, [
    page.customerId,
    page.status ?? null,
    page.after?.placedAt ?? null,
    page.after?.orderId ?? null,
    page.limit,
  ]);
