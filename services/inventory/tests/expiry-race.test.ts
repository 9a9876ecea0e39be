import { afterEach, beforeEach, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { openReconciling } from "#kit/testing/reconciling.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openShop, type Shop } from "./shop.ts";
import { someoneWaits, whileStockIsLocked } from "./stock-lock.ts";

const quarterMs = 16 * 60_000;
const sku = "TEA-1";
let shop: Shop;

// Shifting the clock expires whatever there is, so each test has a shop of its own.
beforeEach(async () => {
  shop = await openShop({ env: { EXPIRY_EVERY_MS: "50", EXPIRY_BATCH_SIZE: "4" } });
  await shop.receive({ [sku]: 100 });
});
afterEach(() => shop.close());

const selectEvents = statement(
  "test-select-events-by-version",
  `select headers->>'ce-type' as type from kit.outbox where headers->>'ce-subject' = $1
    order by (headers->>'souk-aggregate-version')::int`,
);

/** By version, as consumers apply them: of two transactions at once the later change may be the elder transaction's. */
async function eventsOf(reservationId: string) {
  const rows = await shop.service.db.query<{ type: string }>(selectEvents, [reservationId]);
  return rows.map(({ type }) => type.slice(type.lastIndexOf(".") + 1));
}

async function reserved(pieces = 4) {
  const orderId = newId("order");
  const { reservation } = await shop.reserve({ [sku]: pieces }, { orderId });
  return { orderId, reservationId: reservation?.reservationId ?? "" };
}

const findings = () => openReconciling(shop.service, "inventory").run("stock-with-movements");

test("a commit that meets its reservation being expired waits for that, and takes the pieces again", async () => {
  const order = await reserved();
  await whileStockIsLocked(shop.service, sku, async () => {
    await shop.service.shiftClock(quarterMs);
    await someoneWaits(shop.service, "due as materialized");
    await shop.confirm([order]);
    await someoneWaits(shop.service, "confirmed (order_id");
  });
  await eventually(async () => expect(await eventsOf(order.reservationId)).toContain("StockCommitted"));
  const events = ["StockReserved", "StockReleased", "StockCommitted"];
  expect(await eventsOf(order.reservationId)).toEqual(events);
  expect(await shop.stockOf(sku)).toEqual({ onHand: 96, reserved: 0, available: 96 });
  expect(await findings()).toEqual([]);
});

test("a reservation that is being committed does not expire, and what else is due does meanwhile", async () => {
  const order = await reserved();
  await shop.receive({ "TEA-2": 10 });
  const { reservation: other } = await shop.reserve({ "TEA-2": 3 });
  await whileStockIsLocked(shop.service, sku, async () => {
    await shop.confirm([order]);
    await someoneWaits(shop.service, "confirmed (order_id");
    await shop.service.shiftClock(quarterMs);
    await eventually(async () =>
      expect(await eventsOf(other?.reservationId ?? "")).toEqual(["StockReserved", "StockReleased"]),
    );
  });
  await eventually(async () => expect(await eventsOf(order.reservationId)).toContain("StockCommitted"));
  expect(await eventsOf(order.reservationId)).toEqual(["StockReserved", "StockCommitted"]);
  expect(await shop.stockOf(sku)).toEqual({ onHand: 96, reserved: 0, available: 96 });
  expect(await findings()).toEqual([]);
});

test("of forty reservations confirmed while all of them expire each is sold once, and the stock adds up", async () => {
  const orders = await Promise.all(Array.from({ length: 40 }, () => reserved(2)));
  await Promise.all([shop.confirm(orders), shop.service.shiftClock(quarterMs)]);
  for (const { reservationId } of orders) {
    await eventually(async () => expect(await eventsOf(reservationId)).toContain("StockCommitted"));
    const events = await eventsOf(reservationId);
    expect(events.filter((type) => type === "StockCommitted")).toHaveLength(1);
    expect(events.filter((type) => type === "StockReleased").length).toBeLessThanOrEqual(1);
    expect([events[0], events.at(-1)]).toEqual(["StockReserved", "StockCommitted"]);
  }
  expect(await shop.stockOf(sku)).toEqual({ onHand: 20, reserved: 0, available: 20 });
  expect(await findings()).toEqual([]);
});
