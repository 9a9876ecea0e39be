import { afterEach, beforeEach, expect, test } from "vitest";
import { ReservationStatus } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId, newUuid } from "#kit/ids/ids.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openShop, type Shop } from "./shop.ts";

const minuteMs = 60_000;
let shop: Shop;

// Shifting the clock expires whatever there is, so each test has a shop of its own.
beforeEach(async () => {
  shop = await openShop({ env: { EXPIRY_EVERY_MS: "50", EXPIRY_BATCH_SIZE: "4" } });
});
afterEach(() => shop.close());

const reservationId = async (asked: ReturnType<Shop["reserve"]>) =>
  (await asked).reservation?.reservationId ?? "";

test("a reservation expires after 15 minutes, not before, and its pieces are available again", async () => {
  await shop.receive({ "TEA-1": 10 });
  const older = await reservationId(shop.reserve({ "TEA-1": 4 }));
  await shop.service.shiftClock(2 * minuteMs);
  const newer = await reservationId(shop.reserve({ "TEA-1": 3 }));
  await shop.service.shiftClock(13.5 * minuteMs);
  await eventually(async () =>
    expect(await shop.eventsOf(older)).toEqual(["StockReserved", "StockReleased"]),
  );
  expect(await shop.eventsOf(newer)).toEqual(["StockReserved"]);
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 10, reserved: 3, available: 7 });
});

test("a reservation that is extended is kept for another 15 minutes, and one that has ended is not brought back", async () => {
  await shop.receive({ "TEA-1": 10 });
  const [kept, lost] = [newId("order"), newId("order")];
  const keptId = await reservationId(shop.reserve({ "TEA-1": 4 }, { orderId: kept }));
  const lostId = await reservationId(shop.reserve({ "TEA-1": 3 }, { orderId: lost }));
  const extend = (orderId: string) =>
    shop.orders.extendReservation({ orderId }, { idempotencyKey: newId("key") });
  await shop.service.shiftClock(14 * minuteMs);
  expect((await extend(kept)).reservation).toMatchObject({
    reservationId: keptId,
    status: ReservationStatus.HELD,
  });
  await shop.service.shiftClock(14 * minuteMs);
  await eventually(async () => expect(await shop.eventsOf(lostId)).toContain("StockReleased"));
  await expect(extend(lost)).rejects.toMatchObject({ reason: "RESERVATION_ENDED" });
  await expect(extend(newId("order"))).rejects.toMatchObject({ reason: "RESERVATION_ENDED" });
  expect(await shop.eventsOf(keptId)).toEqual(["StockReserved"]);
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 10, reserved: 4, available: 6 });
  await shop.service.shiftClock(2 * minuteMs);
  await eventually(async () => expect(await shop.eventsOf(keptId)).toContain("StockReleased"));
});

test("more reservations than one batch holds all expire, each once", async () => {
  await shop.receive({ "TEA-1": 10, "TEA-2": 10 });
  const ids = await Promise.all(
    Array.from({ length: 10 }, () => reservationId(shop.reserve({ "TEA-2": 1, "TEA-1": 1 }))),
  );
  await shop.service.shiftClock(16 * minuteMs);
  await eventually(async () => {
    expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
    expect(await shop.stockOf("TEA-2")).toEqual({ onHand: 10, reserved: 0, available: 10 });
  });
  for (const id of ids) expect(await shop.eventsOf(id)).toEqual(["StockReserved", "StockReleased"]);
});

test("releasing an expired reservation returns nothing a second time", async () => {
  await shop.receive({ "TEA-1": 10 });
  const named = { orderId: newId("order"), key: newId("key") };
  const id = await reservationId(shop.reserve({ "TEA-1": 4 }, named));
  await shop.service.shiftClock(16 * minuteMs);
  await eventually(async () => expect(await shop.eventsOf(id)).toContain("StockReleased"));
  const { reservation } = await shop.release(named.orderId, named.key);
  expect(reservation?.status).toBe(ReservationStatus.EXPIRED);
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
});

test("an order that is confirmed after its reservation expired takes its pieces from what is left", async () => {
  await shop.receive({ "TEA-1": 10, "TEA-2": 10 });
  const orderId = newId("order");
  const id = await reservationId(shop.reserve({ "TEA-1": 6, "TEA-2": 1 }, { orderId }));
  await shop.service.shiftClock(16 * minuteMs);
  await eventually(async () => expect(await shop.eventsOf(id)).toContain("StockReleased"));
  await shop.confirm([{ orderId, reservationId: id }]);
  await eventually(async () => expect(await shop.eventsOf(id)).toContain("StockCommitted"));
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 4, reserved: 0, available: 4 });
  expect(await shop.eventsOf("TEA-1")).toEqual([
    "StockReplenished",
    "StockLow",
    "StockReplenished",
    "StockLow",
  ]);
});

test("where its pieces are gone by then, nothing of it is sold, others' pieces stay theirs, and later orders go on", async () => {
  await shop.receive({ "TEA-1": 10, "TEA-2": 10 });
  const late = newId("order");
  const lateId = await reservationId(shop.reserve({ "TEA-1": 6, "TEA-2": 1 }, { orderId: late }));
  await shop.service.shiftClock(16 * minuteMs);
  await eventually(async () => expect(await shop.eventsOf(lateId)).toContain("StockReleased"));
  const punctual = newId("order");
  const punctualId = await reservationId(shop.reserve({ "TEA-1": 8 }, { orderId: punctual }));
  const eventId = newUuid();
  await shop.confirm([
    { orderId: late, reservationId: lateId, eventId },
    { orderId: punctual, reservationId: punctualId },
  ]);
  await eventually(async () => expect(await shop.eventsOf(punctualId)).toContain("StockCommitted"));
  await eventually(async () => expect(await shop.hasApplied(eventId)).toBe(true));
  expect(await shop.eventsOf(lateId)).toEqual(["StockReserved", "StockReleased"]);
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 2, reserved: 0, available: 2 });
  expect(await shop.stockOf("TEA-2")).toEqual({ onHand: 10, reserved: 0, available: 10 });
});

test("of two late orders the one that finds enough pieces gets them, though the other came first", async () => {
  await shop.receive({ "TEA-1": 10 });
  const orders: { orderId: string; reservationId: string }[] = [];
  for (const pieces of [6, 3]) {
    const orderId = newId("order");
    orders.push({
      orderId,
      reservationId: await reservationId(shop.reserve({ "TEA-1": pieces }, { orderId })),
    });
  }
  const [large, small] = orders.map((order) => order.reservationId);
  await shop.service.shiftClock(16 * minuteMs);
  await eventually(async () => expect(await shop.stockOf("TEA-1")).toMatchObject({ reserved: 0 }));
  await shop.reserve({ "TEA-1": 5 });
  // What comes first is applied by itself; the two that wait meanwhile are applied together.
  const strangers = Array.from({ length: 3 }, () => ({
    orderId: newId("order"),
    reservationId: newId("reservation"),
  }));
  await shop.confirm([...strangers, ...orders]);
  await eventually(async () => expect(await shop.eventsOf(small ?? "")).toContain("StockCommitted"));
  expect(await shop.eventsOf(large ?? "")).toEqual(["StockReserved", "StockReleased"]);
  expect(await shop.stockOf("TEA-1")).toEqual({ onHand: 7, reserved: 5, available: 2 });
});
