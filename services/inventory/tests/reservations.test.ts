import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InventoryService, ReservationStatus } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { readReservations, release, releaseAhead, reserve } from "../reservation-store.ts";
import { fromLines, insist, openShop, type Shop } from "./shop.ts";
import { someoneWaits, whileStockIsLocked } from "./stock-lock.ts";

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop.close());

const reason = (name: string, metadata?: Record<string, string>) =>
  expect.objectContaining({ reason: name, ...(metadata && { metadata: expect.objectContaining(metadata) }) });

test("a reservation sets all its lines aside for 15 minutes", async () => {
  await shop.receive({ "ALL-1": 10, "ALL-2": 10 });
  const named = { orderId: newId("order"), key: newId("key") };
  const { reservation } = await insist(() => shop.reserve({ "ALL-2": 3, "ALL-1": 2 }, named));
  expect(reservation?.reservationId).toMatch(/^reservation_/);
  expect(reservation?.status).toBe(ReservationStatus.HELD);
  expect(fromLines(reservation?.lines ?? [])).toEqual({ "ALL-1": 2, "ALL-2": 3 });
  const secondsLeft = Number(reservation?.expiresAt?.seconds) - Date.now() / 1_000;
  expect(secondsLeft).toBeGreaterThan(14 * 60);
  expect(secondsLeft).toBeLessThan(16 * 60);
  expect(await shop.stockOf("ALL-1")).toEqual({ onHand: 10, reserved: 2, available: 8 });
  expect(await shop.stockOf("ALL-2")).toEqual({ onHand: 10, reserved: 3, available: 7 });
  expect(await shop.eventsOf(reservation?.reservationId ?? "")).toEqual(["StockReserved"]);
});

test("two lines of one SKU are set aside together", async () => {
  await shop.receive({ "TWICE-1": 5 });
  const line = { sku: "TWICE-1", quantity: 3 };
  const ask = (lines: (typeof line)[]) =>
    shop.orders.reserveStock({ orderId: newId("order"), lines }, { idempotencyKey: newId("key") });
  await expect(ask([line, line])).rejects.toEqual(reason("OUT_OF_STOCK", { sku: "TWICE-1" }));
  await ask([line, { ...line, quantity: 2 }]);
  expect(await shop.stockOf("TWICE-1")).toEqual({ onHand: 5, reserved: 5, available: 0 });
});

test("one line that is short leaves all others untouched, and is named", async () => {
  await shop.receive({ "SHORT-1": 10, "SHORT-2": 1 });
  await expect(shop.reserve({ "SHORT-1": 1, "SHORT-2": 2 })).rejects.toEqual(
    reason("OUT_OF_STOCK", { sku: "SHORT-2" }),
  );
  expect(await shop.stockOf("SHORT-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
  expect(await shop.stockOf("SHORT-2")).toEqual({ onHand: 1, reserved: 0, available: 1 });
});

test("a SKU that never had stock is out of stock", async () => {
  await expect(shop.reserve({ "NEVER-1": 1 })).rejects.toEqual(reason("OUT_OF_STOCK", { sku: "NEVER-1" }));
});

test("while pieces come back as fast as they go, a reservation succeeds or is out of stock, and nothing else", async () => {
  await shop.receive({ "TIGHT-1": 5 });
  const { db } = shop.service;
  const outcomes = new Set<string>();
  const buyer = async () => {
    for (let turn = 0; turn < 60; turn += 1) {
      const wanted = { orderId: newId("order"), reservationId: newId("reservation") };
      const lines = [{ sku: "TIGHT-1", quantity: 1 }];
      const outcome = await db
        .transaction((tx) => reserve(tx, { ...wanted, lines }))
        .then(
          (made) => ("shortSku" in made ? "OUT_OF_STOCK" : "reserved"),
          (error: Error & { reason?: string }) => error.reason ?? error.message,
        );
      outcomes.add(outcome);
      await db.transaction((tx) => release(tx, wanted.orderId));
    }
  };
  await Promise.all(Array.from({ length: 14 }, buyer));
  expect([...outcomes].sort()).toEqual(["OUT_OF_STOCK", "reserved"]);
  expect(await shop.stockOf("TIGHT-1")).toEqual({ onHand: 5, reserved: 0, available: 5 });
});

test("an order that finds too few pieces keeps its place in a transaction with others, and costs them none of their own", async () => {
  await shop.receive({ "GROUP-1": 60, "GROUP-2": 1 });
  const buy = (sku: string) => shop.reserve({ [sku]: 2 }).catch(() => undefined);
  await Promise.all(Array.from({ length: 60 }, (_, n) => buy(n % 2 === 0 ? "GROUP-1" : "GROUP-2")));
  const [row] = await shop.service.db.query<{ made: number; transactions: number }>(
    statement(
      "test-transactions",
      `select count(*)::int as made, count(distinct xmin::text)::int as transactions from reservations where skus = '{GROUP-1}'`,
    ),
  );
  expect(row?.made).toBe(30);
  expect(row?.transactions).toBeLessThan(25);
});

test("orders that arrive together are one statement where there is enough for all, and each has its own lines", async () => {
  await shop.receive({ "MANY-1": 100, "MANY-2": 100 });
  const { db } = shop.service;
  const before = await shop.stockOf("MANY-1");
  const wanted = Array.from({ length: 5 }, (_, n) => ({
    orderId: newId("order"),
    reservationId: newId("reservation"),
    lines: [{ sku: "MANY-1", quantity: n + 1 }, ...(n === 2 ? [{ sku: "MANY-2", quantity: 7 }] : [])],
  }));
  const late = wanted[4]?.orderId ?? "";
  await db.transaction((tx) => releaseAhead(tx, late));
  const made = await db.transaction((tx) =>
    Promise.all(wanted.map((one) => reserve(tx, one).catch((error: Error) => error))),
  );
  const changes = made.flatMap((one) => ("changes" in one ? one.changes : []));
  expect(
    changes.map(({ sku, availableDelta, available }) => [sku, availableDelta, available]).sort(),
  ).toEqual([
    ["MANY-1", -10, 90],
    ["MANY-2", -7, 93],
  ]);
  expect(made[4]).toEqual(reason("COMMAND_CANCELLED"));
  const kept = await readReservations(
    db,
    wanted.map(({ orderId }) => orderId),
  );
  expect(new Map(kept.map(({ orderId, lines }) => [orderId, lines]))).toEqual(
    new Map(wanted.slice(0, 4).map(({ orderId, lines }) => [orderId, lines])),
  );
  expect(before.reserved).toBe(0);
  expect(await shop.stockOf("MANY-1")).toEqual({ onHand: 100, reserved: 10, available: 90 });
});

test("200 buyers at once for 50 pieces: 50 get one, 150 do not, and nothing is oversold", async () => {
  await shop.receive({ "RUSH-1": 50 });
  const buy = () => {
    const named = { orderId: newId("order"), key: newId("key") };
    return insist(() => shop.reserve({ "RUSH-1": 1 }, named));
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, buy));
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  expect(outcomes.length - refused.length).toBe(50);
  for (const { reason: error } of refused) expect(error).toEqual(reason("OUT_OF_STOCK"));
  expect(await shop.stockOf("RUSH-1")).toEqual({ onHand: 50, reserved: 50, available: 0 });
});

test("SKUs are locked in one order, however an order names them: nobody waits in a circle", async () => {
  await shop.receive({ "CROSS-1": 10, "CROSS-2": 10 });
  let reserving: Promise<unknown> | undefined;
  await whileStockIsLocked(shop.service, "CROSS-1", async () => {
    reserving = shop.reserve({ "CROSS-2": 1, "CROSS-1": 2 });
    await someoneWaits(shop.service, "locked as materialized");
    await whileStockIsLocked(shop.service, "CROSS-2", async () => undefined);
  });
  await reserving;
  expect(await shop.stockOf("CROSS-2")).toEqual({ onHand: 10, reserved: 1, available: 9 });
});

test("a repeated reservation gets the first answer and sets nothing aside", async () => {
  await shop.receive({ "AGAIN-1": 10 });
  const named = { orderId: newId("order"), key: newId("key") };
  const first = await shop.reserve({ "AGAIN-1": 2 }, named);
  expect(await shop.reserve({ "AGAIN-1": 2 }, named)).toEqual(first);
  const together = await Promise.all(Array.from({ length: 5 }, () => shop.reserve({ "AGAIN-1": 2 }, named)));
  for (const answer of together) expect(answer).toEqual(first);
  expect(await shop.stockOf("AGAIN-1")).toEqual({ onHand: 10, reserved: 2, available: 8 });
});

test("a refusal is remembered too: stock that came later does not change a repeated answer", async () => {
  await shop.receive({ "LATER-1": 1 });
  const named = { orderId: newId("order"), key: newId("key") };
  await expect(shop.reserve({ "LATER-1": 2 }, named)).rejects.toEqual(reason("OUT_OF_STOCK"));
  await shop.receive({ "LATER-1": 5 });
  await expect(shop.reserve({ "LATER-1": 2 }, named)).rejects.toEqual(reason("OUT_OF_STOCK"));
  expect((await shop.stockOf("LATER-1")).reserved).toBe(0);
});

test("an order has one reservation: another under another key is refused", async () => {
  await shop.receive({ "ONE-1": 10 });
  const orderId = newId("order");
  await shop.reserve({ "ONE-1": 1 }, { orderId });
  await expect(shop.reserve({ "ONE-1": 1 }, { orderId })).rejects.toEqual(
    reason("ORDER_ALREADY_RESERVED", { order_id: orderId }),
  );
  expect((await shop.stockOf("ONE-1")).reserved).toBe(1);
});

test("released pieces are available again, and releasing twice returns them once", async () => {
  await shop.receive({ "BACK-1": 10 });
  const named = { orderId: newId("order"), key: newId("key") };
  const { reservation } = await shop.reserve({ "BACK-1": 4 }, named);
  const released = await shop.release(named.orderId, named.key);
  expect(released.reservation).toEqual({ ...reservation, status: ReservationStatus.RELEASED });
  expect(await shop.release(named.orderId, named.key)).toEqual(released);
  expect(await shop.stockOf("BACK-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
  expect(await shop.eventsOf(reservation?.reservationId ?? "")).toEqual(["StockReserved", "StockReleased"]);
});

describe("a reservation that arrives after its release", () => {
  const released = async (sku: string) => {
    await shop.receive({ [sku]: 10 });
    const named = { orderId: newId("order"), key: newId("key") };
    expect((await shop.release(named.orderId, named.key)).reservation).toBeUndefined();
    return named;
  };
  const isRefused = async (sku: string, named: { orderId: string; key: string }) => {
    await expect(shop.reserve({ [sku]: 1 }, named)).rejects.toEqual(reason("COMMAND_CANCELLED"));
    expect(await shop.stockOf(sku)).toEqual({ onHand: 10, reserved: 0, available: 10 });
    expect((await shop.orders.batchGetReservations({ orderIds: [named.orderId] })).reservations).toEqual([]);
  };

  test("is refused", async () => {
    await isRefused("LATE-1", await released("LATE-1"));
  });

  test("is refused 25 hours later too, and releasing it once more returns nothing", async () => {
    const named = await released("LATE-2");
    await shop.service.passADay();
    await isRefused("LATE-2", named);
    expect((await shop.release(named.orderId, named.key)).reservation).toBeUndefined();
  });
});

test("a reservation that is repeated 25 hours after its release sets nothing aside", async () => {
  await shop.receive({ "OLD-1": 10 });
  const named = { orderId: newId("order"), key: newId("key") };
  await shop.reserve({ "OLD-1": 1 }, named);
  await shop.release(named.orderId, named.key);
  await shop.service.passADay();
  await expect(shop.reserve({ "OLD-1": 1 }, named)).rejects.toEqual(reason("ORDER_ALREADY_RESERVED"));
  expect(await shop.stockOf("OLD-1")).toEqual({ onHand: 10, reserved: 0, available: 10 });
});

test("however a reservation and its release race, nothing stays set aside", async () => {
  await shop.receive({ "RACE-1": 100 });
  const race = async () => {
    const named = { orderId: newId("order"), key: newId("key") };
    await Promise.allSettled([shop.reserve({ "RACE-1": 1 }, named), shop.release(named.orderId, named.key)]);
  };
  await Promise.all(Array.from({ length: 40 }, race));
  expect(await shop.stockOf("RACE-1")).toEqual({ onHand: 100, reserved: 0, available: 100 });
});

test("releasing what was refused returns nothing", async () => {
  await shop.receive({ "NONE-1": 1 });
  const named = { orderId: newId("order"), key: newId("key") };
  await expect(shop.reserve({ "NONE-1": 2 }, named)).rejects.toEqual(reason("OUT_OF_STOCK"));
  expect((await shop.release(named.orderId, named.key)).reservation).toBeUndefined();
  expect(await shop.stockOf("NONE-1")).toEqual({ onHand: 1, reserved: 0, available: 1 });
});

test.each([
  ["no lines", []],
  ["a negative quantity", [{ sku: "BAD-1", quantity: -1 }]],
  ["no quantity", [{ sku: "BAD-1", quantity: 0 }]],
  ["a SKU in lower case", [{ sku: "bad-1", quantity: 1 }]],
])("an order with %s is not valid", async (_what, lines) => {
  const asked = shop.orders.reserveStock(
    { orderId: newId("order"), lines },
    { idempotencyKey: newId("key") },
  );
  await expect(asked).rejects.toEqual(reason("VALIDATION_FAILED"));
});

test("a customer cannot set stock aside", async () => {
  const customer = shop.service.client(InventoryService, { scope: "orders:create" });
  const asked = customer.reserveStock(
    { orderId: newId("order"), lines: [{ sku: "BAD-1", quantity: 1 }] },
    { idempotencyKey: newId("key") },
  );
  await expect(asked).rejects.toEqual(reason("SCOPE_MISSING"));
});
