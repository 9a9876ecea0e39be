import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import {
  type Order,
  OrderStatus,
  OrdersService,
  type WatchOrderResponse,
} from "#gen/souk/orders/v1/orders_pb.ts";
import { streamName } from "#kit/nats/event-names.ts";
import { connectNats } from "#kit/nats/nats.ts";
import { type Database, statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { startForTest, type TestService, testEnvironment } from "#kit/testing/testing.ts";
import { orders } from "../main.ts";
import { fromEventPayload } from "../messages.ts";
import { fold, type LaterEvent, type OrderEvent, type Order as OrderState } from "../order.ts";
import { freshKey, type ShopProcesses } from "./shop-processes.ts";

/** Somebody who buys. */
export type Customer = Client<typeof OrdersService>;

/** Starts orders in this process, among the callees of a shop; the same database again makes a second replica. */
export const startOrders = (shop: ShopProcesses, database?: TestService["database"]): Promise<TestService> =>
  startForTest(orders, { prefix: shop.prefix, env: shop.urls, ...(database && { database }) });

let customers = 0;

/** A customer nobody has seen before. */
export function aCustomer(service: TestService): Customer {
  customers += 1;
  return customerNamed(service, `user_${customers}_${service.prefix}`);
}

/** The customer of that name. */
export const customerNamed = (service: TestService, sub: string): Customer =>
  service.client(OrdersService, { sub, scope: "orders:create orders:read orders:cancel orders:return" });

/** Somebody of support, who may act for customers and pay back. */
export const support = (service: TestService): Customer =>
  service.client(OrdersService, {
    sub: "user_support",
    scope: "orders:read orders:cancel orders:return payments:refund",
    roles: "support",
  });

/** What a customer wants: one piece with a card that works, to Berlin, where a draft says nothing else. */
export interface Wish {
  readonly lines: { readonly productId: string; readonly quantity: number }[];
  readonly shippingAddress: {
    readonly name: string;
    readonly line1: string;
    readonly city: string;
    readonly postalCode: string;
    readonly countryCode: string;
  };
  readonly serviceLevel: ServiceLevel;
  readonly paymentMethod: string;
  readonly expectedTotal?: { readonly currencyCode: string; readonly amountMinor: bigint };
}

/** Berlin. */
export const address = {
  name: "Ada Lovelace",
  line1: "Chausseestr. 1",
  city: "Berlin",
  postalCode: "10115",
  countryCode: "DE",
};

/** The wish for one piece of something. */
export const aWish = (productId: string, over: Partial<Wish> = {}): Wish => ({
  lines: [{ productId, quantity: 1 }],
  shippingAddress: address,
  serviceLevel: ServiceLevel.STANDARD,
  paymentMethod: "pm_card_visa",
  ...over,
});

/** Places an order. */
export async function place(customer: Customer, wish: Wish): Promise<Order> {
  const { order } = await customer.placeOrder(wish, freshKey());
  if (!order) throw new Error("an order was accepted without being answered");
  return order;
}

/** Follows an order to its end: every state that was told. */
export async function watch(customer: Customer, orderId: string): Promise<WatchOrderResponse[]> {
  const seen: WatchOrderResponse[] = [];
  for await (const state of customer.watchOrder({ orderId }, { timeoutMs: 15_000 })) seen.push(state);
  return seen;
}

/** Places an order and waits for its end, as its customer then reads it. */
export async function buy(customer: Customer, wish: Wish): Promise<Order> {
  const { orderId } = await place(customer, wish);
  const end = (await watch(customer, orderId)).at(-1);
  if (end?.status === OrderStatus.PENDING) throw new Error(`the watch of ${orderId} ended before the order`);
  return await read(customer, orderId);
}

/** An order as its customer reads it. */
export async function read(customer: Customer, orderId: string): Promise<Order> {
  const { order } = await customer.getOrder({ orderId });
  if (!order) throw new Error(`${orderId} was read without being answered`);
  return order;
}

/** A row of `order_events`, decoded. */
export interface EventRow {
  readonly version: bigint;
  readonly occurredAt: Date;
  readonly event: OrderEvent | LaterEvent;
}

const selectEvents = statement(
  "test-select-order-events",
  `select version, type, payload, occurred_at as "occurredAt" from order_events where order_id = $1 order by version`,
);

/** The events of an order, oldest first. */
export async function eventsOf(db: Database, orderId: string): Promise<EventRow[]> {
  const rows = await db.query<{ version: bigint; type: string; payload: Buffer; occurredAt: Date }>(
    selectEvents,
    [orderId],
  );
  return rows.map(({ version, type, payload, occurredAt }) => {
    return { version, occurredAt, event: fromEventPayload(type, payload) };
  });
}

/** A row of `order_views`. */
export interface ViewRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly version: bigint;
  readonly document: Buffer;
  readonly placedAt: Date;
  readonly updatedAt: Date;
}

const selectViews = statement(
  "test-select-order-views",
  `select order_id as "orderId", customer_id as "customerId", status, version, document,
     placed_at as "placedAt", updated_at as "updatedAt" from order_views order by order_id`,
);

/** All rows of the view. */
export const viewsOf = (db: Database): Promise<ViewRow[]> => db.query<ViewRow>(selectViews);

/** The state that an order's events amount to. */
export function stateAfter(events: readonly EventRow[]): OrderState {
  const state = fold(events.map(({ event }) => event));
  if (!state) throw new Error("there are no events");
  return state;
}

/** An event as it lies in the stream. */
export interface StreamedEvent {
  readonly type: string;
  readonly version: string;
  readonly previousVersion: string;
  readonly correlationId: string;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** What orders has published about an order, oldest first. */
export async function publishedOf(prefix: string, orderId: string): Promise<StreamedEvent[]> {
  const log = createLogger({ service: "test", level: "error" });
  const { manager, close } = await connectNats({ url: testEnvironment().natsUrl, name: "test", log });
  try {
    const stream = streamName(OrdersService.file, prefix);
    const { state } = await manager.streams.info(stream);
    const found: StreamedEvent[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq += 1) {
      const message = await manager.streams.getMessage(stream, { seq });
      const header = (name: string) => message?.header.get(name) ?? "";
      if (!message || header("ce-subject") !== orderId) continue;
      found.push({
        type: header("ce-type"),
        version: header("souk-aggregate-version"),
        previousVersion: header("souk-previous-version"),
        correlationId: header("x-correlation-id"),
        subject: message.subject,
        payload: message.data,
      });
    }
    return found;
  } finally {
    await close();
  }
}

/** What a message holds, as plain data: for comparing it with what is no message. */
export function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([name]) => !name.startsWith("$"));
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)])) as T;
}
