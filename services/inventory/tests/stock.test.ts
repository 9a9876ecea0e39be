import { afterAll, beforeAll, expect, test } from "vitest";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { openShop, type Shop } from "./shop.ts";

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
afterAll(() => shop.close());

const { COUNTED: counted } = MovementReason;
const reason = (name: string) => expect.objectContaining({ reason: name });

const adjust = (sku: string, quantity: number, why: MovementReason = counted, key = newId("key")) =>
  shop.clerk.adjustStock({ sku, quantity, reason: why, note: "counted by hand" }, { idempotencyKey: key });

test("the first pieces of a SKU make its stock", async () => {
  const { stock } = await adjust("NEW-1", 7, MovementReason.RECEIVED);
  expect(stock).toMatchObject({ sku: "NEW-1", onHand: 7, reserved: 0, available: 7 });
  expect(await shop.clerk.getStock({ sku: "NEW-1" })).toMatchObject({ stock: { onHand: 7 } });
});

test("an adjustment that is repeated under one key counts once", async () => {
  const key = newId("key");
  const first = await adjust("KEY-1", 7, MovementReason.COUNTED, key);
  expect(await adjust("KEY-1", 7, MovementReason.COUNTED, key)).toEqual(first);
  await expect(adjust("KEY-1", 8, MovementReason.COUNTED, key)).rejects.toEqual(
    reason("IDEMPOTENCY_KEY_REUSED"),
  );
  expect((await shop.stockOf("KEY-1")).onHand).toBe(7);
});

test("an adjustment that is repeated 25 hours later counts once, and its key stands for no other", async () => {
  const key = newId("key");
  await adjust("KEY-2", 7, MovementReason.RECEIVED, key);
  await adjust("KEY-2", -1, MovementReason.DAMAGED);
  await shop.service.passADay();
  const { stock } = await adjust("KEY-2", 7, MovementReason.RECEIVED, key);
  expect(stock).toMatchObject({ sku: "KEY-2", onHand: 6 });
  for (const [sku, quantity, why] of [
    ["KEY-3", 7, MovementReason.RECEIVED],
    ["KEY-2", 8, MovementReason.RECEIVED],
    ["KEY-2", 7, MovementReason.COUNTED],
  ] as const)
    await expect(adjust(sku, quantity, why, key)).rejects.toEqual(reason("IDEMPOTENCY_KEY_REUSED"));
  expect((await shop.clerk.listMovements({ sku: "KEY-2" })).movements).toHaveLength(2);
});

test("pieces that are set aside for an order cannot be taken away", async () => {
  await adjust("HELD-1", 10);
  await shop.reserve({ "HELD-1": 6 });
  await expect(adjust("HELD-1", -5, MovementReason.DAMAGED)).rejects.toEqual(
    reason("STOCK_WOULD_BE_NEGATIVE"),
  );
  await adjust("HELD-1", -4, MovementReason.DAMAGED);
  expect(await shop.stockOf("HELD-1")).toEqual({ onHand: 6, reserved: 6, available: 0 });
});

test("nothing can be taken from a SKU that never had stock", async () => {
  await expect(adjust("VOID-1", -1)).rejects.toEqual(reason("STOCK_WOULD_BE_NEGATIVE"));
  await expect(shop.clerk.getStock({ sku: "VOID-1" })).rejects.toEqual(reason("STOCK_NOT_FOUND"));
  await expect(shop.clerk.listMovements({ sku: "VOID-1" })).rejects.toEqual(reason("STOCK_NOT_FOUND"));
});

test("a SKU holds a billion pieces and no more", async () => {
  await adjust("HUGE-1", 1_000_000);
  const fill = "update stock set on_hand = 1000000000 where sku = 'HUGE-1'";
  await shop.service.db.query({ name: "test-fill", text: fill });
  await expect(adjust("HUGE-1", 1)).rejects.toEqual(reason("STOCK_LIMIT_EXCEEDED"));
});

test.each([
  ["no pieces", { quantity: 0, reason: MovementReason.COUNTED, note: "" }],
  ["no reason", { quantity: 1, reason: MovementReason.UNSPECIFIED, note: "" }],
  ["a sale as its reason", { quantity: -1, reason: MovementReason.SOLD, note: "" }],
  ["a reason nobody knows", { quantity: 1, reason: 99 as MovementReason, note: "" }],
  ["a NUL in its note", { quantity: 1, reason: MovementReason.COUNTED, note: "a\u0000b" }],
])("an adjustment with %s is not valid", async (_what, fields) => {
  const asked = shop.clerk.adjustStock({ sku: "BAD-1", ...fields }, { idempotencyKey: newId("key") });
  await expect(asked).rejects.toEqual(reason("VALIDATION_FAILED"));
});

test("stock is low when fewer than five pieces are left, and replenished when they are back; each is told once", async () => {
  await adjust("LOW-1", 10);
  await adjust("LOW-1", -5);
  await adjust("LOW-1", -1);
  await adjust("LOW-1", -1);
  await adjust("LOW-1", 1);
  await adjust("LOW-1", 1);
  await adjust("LOW-1", 1);
  expect(await shop.eventsOf("LOW-1")).toEqual(["StockReplenished", "StockLow", "StockReplenished"]);
});

test("a reservation can make stock low, and its release replenish it", async () => {
  await adjust("LOW-2", 10);
  const named = { orderId: newId("order"), key: newId("key") };
  await shop.reserve({ "LOW-2": 6 }, named);
  expect(await shop.eventsOf("LOW-2")).toEqual(["StockReplenished", "StockLow"]);
  await shop.release(named.orderId, named.key);
  expect(await shop.eventsOf("LOW-2")).toEqual(["StockReplenished", "StockLow", "StockReplenished"]);
});

test("movements are listed newest first, page by page, and no page repeats or skips one", async () => {
  for (const quantity of [1, 2, 3, 4, 5]) await adjust("PAGE-1", quantity);
  const quantities: number[] = [];
  let pageToken = "";
  do {
    const page = await shop.clerk.listMovements({ sku: "PAGE-1", pageSize: 2, pageToken });
    quantities.push(...page.movements.map((movement) => movement.quantity));
    if (quantities.length === 2) await adjust("PAGE-1", 6);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(quantities).toEqual([5, 4, 3, 2, 1]);
});

test("stock is listed by SKU, 20 a page where no number is named", async () => {
  for (let n = 0; n < 25; n += 1) await adjust(`AAA-${String(n).padStart(2, "0")}`, 1);
  const first = await shop.clerk.listStock({});
  const next = await shop.clerk.listStock({ pageSize: 5, pageToken: first.nextPageToken });
  const skus = [...first.stock, ...next.stock].map(({ sku }) => sku);
  expect(first.stock).toHaveLength(20);
  expect(skus).toEqual(Array.from({ length: 25 }, (_, n) => `AAA-${String(n).padStart(2, "0")}`));
});

test("a page token that was forged, or is of another list, is refused", async () => {
  await adjust("TOKEN-1", 1);
  await adjust("TOKEN-1", 1);
  await adjust("TOKEN-2", 1);
  const { nextPageToken } = await shop.clerk.listMovements({ sku: "TOKEN-1", pageSize: 1 });
  expect(nextPageToken).not.toBe("");
  const invalid = reason("PAGE_TOKEN_INVALID");
  await expect(shop.clerk.listMovements({ sku: "TOKEN-2", pageToken: nextPageToken })).rejects.toEqual(
    invalid,
  );
  await expect(shop.clerk.listStock({ pageToken: nextPageToken })).rejects.toEqual(invalid);
  await expect(shop.clerk.listStock({ pageToken: "bm90IGEgdG9rZW4" })).rejects.toEqual(invalid);
});

test("a page of more than 100 items is not valid", async () => {
  await expect(shop.clerk.listStock({ pageSize: 101 })).rejects.toEqual(reason("VALIDATION_FAILED"));
});

test("who may only read stock cannot adjust it", async () => {
  const reader = shop.service.client(InventoryService, { scope: "inventory:read" });
  const asked = reader.adjustStock(
    { sku: "READ-1", quantity: 1, reason: MovementReason.COUNTED },
    { idempotencyKey: newId("key") },
  );
  await expect(asked).rejects.toEqual(reason("SCOPE_MISSING"));
});
