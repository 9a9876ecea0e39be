import { afterAll, beforeAll, expect, test } from "vitest";
import { MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId, newUuid } from "#kit/ids/ids.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openShop, type Shop } from "./shop.ts";

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop.close());

async function reserved(lines: Record<string, number>) {
  const orderId = newId("order");
  const key = newId("key");
  const { reservation } = await shop.reserve(lines, { orderId, key });
  return { orderId, key, reservationId: reservation?.reservationId ?? "" };
}

const committed = (reservationId: string) =>
  eventually(async () =>
    expect(await shop.eventsOf(reservationId)).toEqual(["StockReserved", "StockCommitted"]),
  );

test("a confirmed order's pieces leave the warehouse, with a movement that names the order", async () => {
  await shop.receive({ "SOLD-1": 10, "SOLD-2": 10 });
  const order = await reserved({ "SOLD-1": 2, "SOLD-2": 3 });
  await shop.confirm([order]);
  await committed(order.reservationId);
  expect(await shop.stockOf("SOLD-1")).toEqual({ onHand: 8, reserved: 0, available: 8 });
  expect(await shop.stockOf("SOLD-2")).toEqual({ onHand: 7, reserved: 0, available: 7 });
  const { movements } = await shop.clerk.listMovements({ sku: "SOLD-2" });
  expect(movements.map(({ quantity, reason, orderId }) => [quantity, reason, orderId])).toEqual([
    [-3, MovementReason.SOLD, order.orderId],
    [10, MovementReason.RECEIVED, ""],
  ]);
  expect(movements[0]?.movementId).toMatch(/^movement_[0-7][0-9a-z]{25}$/);
});

test("a confirmation that is told twice, or once more under another id, sells once", async () => {
  await shop.receive({ "TOLD-1": 10 });
  const order = await reserved({ "TOLD-1": 4 });
  const told = { ...order, eventId: newUuid() };
  await shop.confirm([told, told]);
  await shop.confirm([order]);
  const next = await reserved({ "TOLD-1": 1 });
  await shop.confirm([next]);
  await committed(next.reservationId);
  await committed(order.reservationId);
  expect(await shop.stockOf("TOLD-1")).toEqual({ onHand: 5, reserved: 0, available: 5 });
});

test("many orders confirmed at once, over the same SKUs in any order, all leave the warehouse", async () => {
  await shop.receive({ "MANY-1": 200, "MANY-2": 200, "MANY-3": 200 });
  const skus = ["MANY-1", "MANY-2", "MANY-3"] as const;
  const placed = await Promise.all(
    Array.from({ length: 90 }, (_, n) => reserved({ [skus[n % 3] ?? ""]: 1, [skus[(n + 1) % 3] ?? ""]: 1 })),
  );
  const more = Array.from({ length: 60 }, () => shop.reserve({ "MANY-3": 1, "MANY-1": 1 }));
  await shop.confirm(placed);
  await Promise.all(more);
  for (const order of placed) await committed(order.reservationId);
  expect(await shop.stockOf("MANY-1")).toEqual({ onHand: 140, reserved: 60, available: 80 });
  expect(await shop.stockOf("MANY-2")).toEqual({ onHand: 140, reserved: 0, available: 140 });
  expect(await shop.stockOf("MANY-3")).toEqual({ onHand: 140, reserved: 60, available: 80 });
});

test("goods of a confirmed order cannot be released", async () => {
  await shop.receive({ "FIRM-1": 10 });
  const order = await reserved({ "FIRM-1": 4 });
  await shop.confirm([order]);
  await committed(order.reservationId);
  await expect(shop.release(order.orderId, order.key)).rejects.toEqual(
    expect.objectContaining({ reason: "RESERVATION_ENDED", metadata: { order_id: order.orderId } }),
  );
  expect(await shop.stockOf("FIRM-1")).toEqual({ onHand: 6, reserved: 0, available: 6 });
});

test("goods of a released order are sold all the same when its confirmation comes", async () => {
  await shop.receive({ "WAIT-1": 10 });
  const order = await reserved({ "WAIT-1": 4 });
  await shop.release(order.orderId, order.key);
  await shop.confirm([order]);
  await eventually(async () => expect(await shop.eventsOf(order.reservationId)).toContain("StockCommitted"));
  expect(await shop.stockOf("WAIT-1")).toEqual({ onHand: 6, reserved: 0, available: 6 });
});

test("a confirmation without a reservation stops nothing", async () => {
  await shop.receive({ "LOST-1": 10 });
  const order = await reserved({ "LOST-1": 1 });
  await shop.confirm([
    { orderId: newId("order"), reservationId: newId("reservation") },
    { orderId: order.orderId, reservationId: newId("reservation") },
  ]);
  const next = await reserved({ "LOST-1": 2 });
  await shop.confirm([next]);
  await committed(next.reservationId);
  expect(await shop.stockOf("LOST-1")).toEqual({ onHand: 8, reserved: 1, available: 7 });
});
