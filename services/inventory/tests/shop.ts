import { InventoryService, MovementReason, type StockLine } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { isRetryable } from "#kit/errors/errors.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { connectForeignEvents } from "#kit/testing/foreign-events.ts";
import { startForTest, type TestOptions, type TestService } from "#kit/testing/testing.ts";
import { deadlineIn, delay } from "#kit/time/time.ts";
import { inventory } from "../main.ts";

/** Lines as short as `{ "TEA-1": 2 }`. */
export type Lines = Readonly<Record<string, number>>;

type Inventory = Client<typeof InventoryService>;

/** An order that orders announces to be confirmed; the same `eventId` again is the same announcement again. */
interface Confirmation {
  readonly orderId: string;
  readonly reservationId: string;
  readonly eventId?: string;
}

/** Inventory with a clerk and with orders as its callers. */
export async function openShop(options: TestOptions = {}) {
  const service = await startForTest(inventory, options);
  const clerk = service.client(InventoryService, {
    sub: "user_clerk",
    scope: "inventory:read inventory:write",
    roles: "operator",
  });
  const orders = service.client(InventoryService, { service: "orders" });
  const foreign = await connectForeignEvents(service.prefix);
  return {
    service,
    clerk,
    orders,
    receive: (lines: Lines) => receiveAll(clerk, lines),
    reserve: (lines: Lines, { orderId = newId("order"), key = newId("key") } = {}) =>
      orders.reserveStock({ orderId, lines: toLines(lines) }, { idempotencyKey: key }),
    release: (orderId: string, reserveKey: string, key = newId("key")) =>
      orders.releaseStock({ orderId, reserveKey }, { idempotencyKey: key }),
    confirm: (confirmations: readonly Confirmation[]) =>
      foreign.publish(
        OrderConfirmedSchema,
        confirmations.map(({ eventId, ...message }) => ({
          message,
          aggregateVersion: 2,
          ...(eventId && { eventId }),
        })),
      ),
    stockOf: (sku: string) => readStock(clerk, sku),
    eventsOf: (subject: string) => eventTypes(service, subject),
    hasApplied: (eventId: string) => hasApplied(service, eventId),
    async close() {
      await foreign.close();
      await service.stop();
    },
  };
}

/** What `openShop` opens. */
export type Shop = Awaited<ReturnType<typeof openShop>>;

const toLines = (lines: Lines) => Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity }));

/**
 * Asks again, with the same key and for 20 s, while the outcome is unknown: as orders does when a busy machine
 * lets a call run out of time.
 */
export async function insist<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = deadlineIn(20_000);
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (deadline.remainingMs() === 0 || !isRetryable(error)) throw error;
    }
    // A breaker that has opened refuses without asking.
    await delay(100);
  }
}

/** The other way round, in one order. */
export const fromLines = (lines: readonly StockLine[]): Lines =>
  Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));

async function receiveAll(clerk: Inventory, lines: Lines) {
  for (const line of toLines(lines)) {
    const adjustment = { ...line, reason: MovementReason.RECEIVED };
    await clerk.adjustStock(adjustment, { idempotencyKey: newId("key") });
  }
}

async function readStock(clerk: Inventory, sku: string) {
  const { stock } = await clerk.getStock({ sku });
  return { onHand: stock?.onHand, reserved: stock?.reserved, available: stock?.available };
}

const selectEvents = statement(
  "test-select-events",
  `select headers->>'ce-type' as type from kit.outbox where headers->>'ce-subject' = $1 order by xid, seq`,
);

/** Types of the events that inventory has announced about a SKU or a reservation, oldest first. */
async function eventTypes({ db }: TestService, subject: string) {
  const rows = await db.query<{ type: string }>(selectEvents, [subject]);
  return rows.map(({ type }) => type.slice(type.lastIndexOf(".") + 1));
}

const selectApplied = statement("test-select-applied", "select from kit.inbox where event_id = $1");

/** Whether an event is done with, so that it is not offered again. */
async function hasApplied({ db }: TestService, eventId: string) {
  return (await db.query(selectApplied, [eventId])).length > 0;
}
