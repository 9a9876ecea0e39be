import { type BulkStatement, type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";
import { fromEventPayload, fromPlaced, toDocument, toEventPayload } from "./messages.ts";
import { evolve, fold, type Order, type OrderEvent, type OrderPlaced, type OrderStatus } from "./order.ts";
import { orderNotFound } from "./order-refusals.ts";
import type { OrderView } from "./order-view.ts";

const selectEvents: BulkStatement<string> = {
  name: "orders-select-events",
  text: `select order_id as key, type, payload from order_events where order_id = any($1) order by order_id, version`,
  keyOf: (orderId) => orderId,
  columns: [(orderId) => orderId],
};

/** An order with the event that made it what it is. */
interface Step {
  readonly order: Order;
  readonly event: OrderEvent;
}

/**
 * The primary key of the events is the concurrency check: two writers of one version cannot both commit. An order is placed at
 * a whole millisecond, since that is what a page token can say: finer times would make the next page skip orders. Nothing is
 * written where the customer's key stands for an order already.
 */
const insertFirstEvents: BulkStatement<Step & { readonly key: string }> = {
  name: "orders-insert-first-events",
  text: `with item as materialized (
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[])
       as item (order_id, customer_id, customer_key, type, payload, document)),
   kept as (
     insert into order_keys (customer_id, key, order_id) select customer_id, customer_key, order_id from item
     on conflict do nothing returning order_id),
   event as (
     insert into order_events (order_id, version, type, payload, occurred_at)
     select order_id, 1, type, payload, clock.now from item join kept using (order_id), souk_now() as clock (now)
     returning order_id, occurred_at)
   insert into order_views (order_id, customer_id, status, version, document, placed_at, updated_at)
   select order_id, customer_id, 'pending', 1, document, date_trunc('milliseconds', occurred_at), occurred_at
   from item join event using (order_id)
   returning order_id as key, placed_at`,
  keyOf: ({ order }) => order.orderId,
  columns: [
    ({ order }) => order.orderId,
    ({ order }) => order.customerId,
    ({ key }) => key,
    ({ event }) => event.type,
    ({ order, event }) => toEventPayload(order, event),
    ({ order }) => toDocument(order),
  ],
};

const insertNextEvents: BulkStatement<Step> = {
  name: "orders-insert-next-events",
  text: `with item as materialized (
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::bytea[])
       as item (order_id, version, type, payload, status, document)),
   event as (
     insert into order_events (order_id, version, type, payload, occurred_at)
     select order_id, version, type, payload, clock.now from item, souk_now() as clock (now)
     returning order_id, occurred_at)
   update order_views v
      set status = item.status, version = item.version, document = item.document, updated_at = event.occurred_at
     from item join event using (order_id) where v.order_id = item.order_id`,
  keyOf: ({ order }) => order.orderId,
  columns: [
    ({ order }) => order.orderId,
    ({ order }) => order.version,
    ({ event }) => event.type,
    ({ order, event }) => toEventPayload(order, event),
    ({ order }) => order.status,
    ({ order }) => toDocument(order),
  ],
};

const lockView = statement("orders-lock-view", "select from order_views where order_id = $1 for update");

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
  const [row] = await tx.queryEach<{ placed_at: Date }, Step & { readonly key: string }>(insertFirstEvents, {
    order,
    event,
    key,
  });
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

/** Decides what happens to an order; undefined where nothing does. */
export type Decide = (order: Order) => OrderEvent | undefined;

interface EventRow {
  type: string;
  payload: Buffer;
}

const readEvents = (tx: Transaction, orderId: string): Promise<EventRow[]> =>
  tx.queryEach<EventRow, string>(selectEvents, orderId);

/**
 * Loads an order from its events, decides, and appends what was decided. Returns the order after it. For checkout, whose row
 * in the sagas is held by the transaction: nobody else decides about the order meanwhile.
 */
export async function updateOrder(tx: Transaction, orderId: string, decide: Decide): Promise<Order> {
  return await appendDecided(tx, orderId, await readEvents(tx, orderId), decide);
}

/** The same where several may decide at once: they queue at the view's row, and each sees what those before it decided. */
export async function updateLockedOrder(tx: Transaction, orderId: string, decide: Decide): Promise<Order> {
  // Issued in one tick, the events might be read before the row is locked.
  await tx.query(lockView, [orderId]);
  return await appendDecided(tx, orderId, await readEvents(tx, orderId), decide);
}

async function appendDecided(
  tx: Transaction,
  orderId: string,
  rows: readonly EventRow[],
  decide: Decide,
): Promise<Order> {
  const before = fold(rows.map(({ type, payload }) => fromEventPayload(type, payload)));
  if (!before) throw orderNotFound(orderId);
  const event = decide(before);
  if (!event) return before;
  const order = evolve(before, event);
  await tx.queryEach(insertNextEvents, { order, event });
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
