import { afterAll, beforeAll, expect, test } from "vitest";
import { MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { eventually } from "#kit/testing/testing.ts";
import { type Lines, openShop, type Shop } from "./shop.ts";

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop?.close());

async function reserved(lines: Lines) {
  const orderId = newId("order");
  const key = newId("key");
  const { reservation } = await shop.reserve(lines, { orderId, key });
  return { orderId, key, reservationId: reservation?.reservationId ?? "" };
}

type Order = Awaited<ReturnType<typeof reserved>>;

async function sold(lines: Lines) {
  const order = await reserved(lines);
  await shop.confirm([order]);
  await eventually(async () => expect(await shop.eventsOf(order.reservationId)).toContain("StockCommitted"));
  return order;
}

const takeBack = ({ orderId, reservationId }: Order, lines: Lines, key = newId("key")) =>
  shop.orders.returnStock(
    {
      orderId,
      reservationId,
      lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
    },
    { idempotencyKey: key },
  );

async function movementsOf(sku: string) {
  const { movements } = await shop.clerk.listMovements({ sku });
  return movements.map(({ quantity, reason, orderId }) => [quantity, reason, orderId]);
}

const forget = statement("test-forget-answers", "delete from kit.idempotency");

test("returned pieces are in stock again, with a movement that names the order, and that is announced", async () => {
  await shop.receive({ "BACK-1": 10, "BACK-2": 10 });
  const order = await sold({ "BACK-1": 2, "BACK-2": 3 });
  await takeBack(order, { "BACK-2": 2 });
  expect(await shop.stockOf("BACK-1")).toEqual({ onHand: 8, reserved: 0, available: 8 });
  expect(await shop.stockOf("BACK-2")).toEqual({ onHand: 9, reserved: 0, available: 9 });
  expect(await movementsOf("BACK-2")).toEqual([
    [2, MovementReason.RETURNED, order.orderId],
    [-3, MovementReason.SOLD, order.orderId],
    [10, MovementReason.RECEIVED, ""],
  ]);
  expect((await shop.eventsOf(order.reservationId)).at(-1)).toBe("StockReturned");
});

test("a return that is asked for again adds nothing, also when its answer has been forgotten", async () => {
  await shop.receive({ "AGAIN-1": 10 });
  const order = await sold({ "AGAIN-1": 4 });
  const key = newId("key");
  await takeBack(order, { "AGAIN-1": 1 }, key);
  await takeBack(order, { "AGAIN-1": 1 }, key);
  await shop.service.db.query(forget);
  await takeBack(order, { "AGAIN-1": 1 }, key);
  expect(await shop.stockOf("AGAIN-1")).toEqual({ onHand: 7, reserved: 0, available: 7 });
});

test("no more pieces come back than the order bought, however many returns ask at once", async () => {
  await shop.receive({ "MORE-1": 10, "MORE-2": 10 });
  const order = await sold({ "MORE-1": 3, "MORE-2": 1 });
  const asked = Array.from({ length: 5 }, () => takeBack(order, { "MORE-1": 1 }));
  const ends = (await Promise.allSettled(asked)).map((end) =>
    end.status === "fulfilled" ? "taken back" : end.reason.reason,
  );
  expect(ends.filter((end) => end === "taken back")).toHaveLength(3);
  expect(ends.filter((end) => end === "RETURN_EXCEEDS_SALE")).toHaveLength(2);
  await expect(takeBack(order, { "MORE-2": 1, "MORE-1": 1 })).rejects.toEqual(
    expect.objectContaining({ reason: "RETURN_EXCEEDS_SALE", metadata: { sku: "MORE-1" } }),
  );
  expect(await shop.stockOf("MORE-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
  expect(await shop.stockOf("MORE-2")).toEqual({ onHand: 9, reserved: 0, available: 9 });
});

test("a return that comes before the sale is noted notes it, and the confirmation sells nothing again", async () => {
  await shop.receive({ "EARLY-1": 10 });
  const order = await reserved({ "EARLY-1": 4 });
  await takeBack(order, { "EARLY-1": 4 });
  expect(await shop.stockOf("EARLY-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
  await shop.confirm([order]);
  const next = await sold({ "EARLY-1": 1 });
  expect(await shop.eventsOf(order.reservationId)).toEqual([
    "StockReserved",
    "StockCommitted",
    "StockReturned",
  ]);
  expect(next.orderId).not.toBe(order.orderId);
  expect(await shop.stockOf("EARLY-1")).toEqual({ onHand: 9, reserved: 0, available: 9 });
});

test("pieces that had expired and went to others cannot come back", async () => {
  await shop.receive({ "GONE-1": 2 });
  const order = await reserved({ "GONE-1": 2 });
  await shop.release(order.orderId, order.key);
  await sold({ "GONE-1": 2 });
  await expect(takeBack(order, { "GONE-1": 2 })).rejects.toMatchObject({ reason: "RESERVATION_NOT_SOLD" });
  expect(await shop.stockOf("GONE-1")).toEqual({ onHand: 0, reserved: 0, available: 0 });
});

test("an order without such a reservation has nothing to bring back", async () => {
  await shop.receive({ "NONE-1": 2 });
  const order = await reserved({ "NONE-1": 1 });
  const other = { ...order, reservationId: newId("reservation") };
  await expect(takeBack(other, { "NONE-1": 1 })).rejects.toMatchObject({ reason: "RESERVATION_NOT_FOUND" });
  expect(await shop.stockOf("NONE-1")).toEqual({ onHand: 2, reserved: 1, available: 1 });
});
