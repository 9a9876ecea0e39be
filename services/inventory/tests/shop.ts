import { InventoryService, MovementReason, type StockLine } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { announce, openOutbox } from "#kit/outbox/outbox.ts";
import { type Database, statement } from "#kit/postgres/postgres.ts";
import { startForTest, type TestOptions, type TestService } from "#kit/testing/testing.ts";
import { inventory } from "../main.ts";

/** Lines as short as `{ "TEA-1": 2 }`. */
export type Lines = Readonly<Record<string, number>>;

const toLines = (lines: Lines) => Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity }));

/** The other way round, in one order. */
export const fromLines = (lines: readonly StockLine[]): Lines =>
  Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));

/** Inventory with a clerk and with orders as its callers; whatever is asked gets a fresh key where none is named. */
export async function openShop(options: TestOptions = {}) {
  const service = await startForTest(inventory, options);
  const clerk = service.client(InventoryService, {
    sub: "user_clerk",
    scope: "inventory:read inventory:write",
    roles: "operator",
  });
  const orders = service.client(InventoryService, { service: "orders" });
  openOutbox(service.db, { source: "orders", prefix: service.prefix, onCommitted: () => {} });
  return {
    service,
    contract: InventoryService,
    clerk,
    orders,
    receive: (lines: Lines) => receiveAll(clerk, lines),
    reserve: (lines: Lines, { orderId = newId("order"), key = newId("key") } = {}) =>
      orders.reserveStock({ orderId, lines: toLines(lines) }, { idempotencyKey: key }),
    release: (orderId: string, reserveKey: string, key = newId("key")) =>
      orders.releaseStock({ orderId, reserveKey }, { idempotencyKey: key }),
    confirm: (confirmed: readonly Confirmed[]) => confirm(service.db, confirmed),
    stockOf: async (sku: string) => {
      const { stock } = await clerk.getStock({ sku });
      return { onHand: stock?.onHand, reserved: stock?.reserved, available: stock?.available };
    },
    events: (sku: string) => eventTypes(service, sku),
  };
}

/** The clerk's client. */
type Clerk = Awaited<ReturnType<typeof openShop>>["clerk"];

async function receiveAll(clerk: Clerk, lines: Lines) {
  for (const [sku, quantity] of Object.entries(lines)) {
    await clerk.adjustStock(
      { sku, quantity, reason: MovementReason.RECEIVED },
      { idempotencyKey: newId("key") },
    );
  }
}

/** An order that orders announces to be confirmed. */
interface Confirmed {
  readonly orderId: string;
  readonly reservationId: string;
}

/** Announces confirmations as orders does, all in one transaction, so that they reach inventory together. */
async function confirm(db: Database, confirmed: readonly Confirmed[]) {
  await db.transaction(async (tx) => {
    for (const order of confirmed) {
      announce(tx, OrderConfirmedSchema, order, { aggregateVersion: 2, correlationId: order.orderId });
    }
  });
}

const selectEvents = statement(
  "test-select-events",
  `select headers->>'ce-type' as type from kit.outbox where headers->>'ce-subject' = $1 order by xid, seq`,
);

/** Types of the events that inventory announced about a SKU or a reservation, oldest first. */
async function eventTypes({ db }: TestService, subject: string) {
  const rows = await db.query<{ type: string }>(selectEvents, [subject]);
  return rows.map(({ type }) => type.slice(type.lastIndexOf(".") + 1));
}
