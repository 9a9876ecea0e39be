import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Client } from "#kit/rpc/client.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { eventually, startForTest, type TestService } from "#kit/testing/testing.ts";

let service: TestService;
let clerk: Client<typeof InventoryService>;
let orders: Client<typeof InventoryService>;
const prepared: string[] = [];
/** What a command's call to another service does, by order. */
const callees = new Map<string, () => Promise<void>>();

beforeAll(async () => {
  const onPrepare = (orderId: string) => {
    prepared.push(orderId);
    return callees.get(orderId)?.();
  };
  service = await startForTest(createCounters({ onPrepare }));
  clerk = service.client(InventoryService, {
    sub: "user_clerk",
    scope: "inventory:read inventory:write",
    roles: "operator",
  });
  orders = service.client(InventoryService, { service: "orders" });
});
afterAll(() => service.stop());

const counter = (name: string) => readCounter(service.db, name);
const adjust = (sku: string, quantity: number, idempotencyKey = newId("key")) =>
  clerk.adjustStock({ sku, quantity, reason: MovementReason.RECEIVED }, { idempotencyKey });
const reserve = (orderId: string, idempotencyKey: string) =>
  orders.reserveStock({ orderId, lines: [{ sku: "ANY", quantity: 1 }] }, { idempotencyKey, retries: 0 });

describe("a command", () => {
  test("answers, is heard of once, and answers the same when it is repeated", async () => {
    const key = newId("key");
    const first = await adjust("TEA", 5, key);
    expect(first.stock?.onHand).toBe(5);
    expect(await adjust("TEA", 5, key)).toEqual(first);
    await adjust("TEA", 1);
    await eventually(async () => expect(await counter("heard TEA")).toBe(2n));
    expect((await clerk.getStock({ sku: "TEA" })).stock?.onHand).toBe(6);
  });

  test("that refuses keeps what it wrote, once, and refuses the same when it is repeated", async () => {
    const key = newId("key");
    const refused = {
      reason: "STOCK_WOULD_BE_NEGATIVE",
      domain: "inventory.souk",
      metadata: { sku: "NONE" },
    };
    await expect(adjust("NONE", -1, key)).rejects.toMatchObject(refused);
    await adjust("NONE", 5);
    await expect(adjust("NONE", -1, key)).rejects.toMatchObject(refused);
    expect(await counter("refused NONE")).toBe(1n);
  });

  test("under a key that was used for another request is refused", async () => {
    const key = newId("key");
    await adjust("KEY", 5, key);
    await expect(adjust("KEY", 6, key)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    expect(await counter("KEY")).toBe(5n);
  });

  test("starts a saga that is driven to its end", async () => {
    const orderId = newId("order");
    await reserve(orderId, newId("key"));
    await eventually(async () => expect(await counter(`completed ${orderId}`)).toBe(1n));
    expect(await counter(`settled ${orderId}`)).toBe(1n);
  });
});

describe("a command with an intent", () => {
  test("that is repeated calls out no more, and its second intent is rolled back", async () => {
    const [orderId, key] = [newId("order"), newId("key")];
    const first = await reserve(orderId, key);
    expect(await reserve(orderId, key)).toEqual(first);
    expect(first.reservation?.reservationId).toBe("reservation 1");
    expect(await counter(`intended ${orderId}`)).toBe(1n);
    expect(prepared.filter((id) => id === orderId)).toHaveLength(1);
  });

  test("has its intent committed before it calls out, and keeps it when that fails", async () => {
    const [orderId, key] = [newId("order"), newId("key")];
    let seen: bigint | undefined;
    callees.set(orderId, async () => {
      seen = await counter(`intended ${orderId}`);
      throw new Error("the callee is away");
    });
    await expect(reserve(orderId, key)).rejects.toMatchObject({ reason: "INTERNAL" });
    expect(seen).toBe(1n);
    callees.delete(orderId);
    expect((await reserve(orderId, key)).reservation?.reservationId).toBe("reservation 2");
    expect(await counter(`reserved ${orderId}`)).toBe(1n);
  });

  test("20 times at once takes effect once", async () => {
    const [orderId, key] = [newId("order"), newId("key")];
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => reserve(orderId, key)));
    const answers = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
    expect(answers.length).toBeGreaterThan(0);
    expect(new Set(answers.map(({ reservation }) => reservation?.reservationId)).size).toBe(1);
    expect(await counter(`reserved ${orderId}`)).toBe(1n);
  });

  test("that was cancelled before it came is refused, and leaves no intent", async () => {
    const [orderId, reserveKey] = [newId("order"), newId("key")];
    await orders.releaseStock({ orderId, reserveKey }, { idempotencyKey: newId("key") });
    await expect(reserve(orderId, reserveKey)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
    expect(prepared).not.toContain(orderId);
    expect(await counter(`intended ${orderId}`)).toBe(0n);
    expect(await counter(`reserved ${orderId}`)).toBe(0n);
  });

  test("that is cancelled after it was answered is undone, once", async () => {
    const [orderId, reserveKey, releaseKey] = [newId("order"), newId("key"), newId("key")];
    await reserve(orderId, reserveKey);
    const release = () => orders.releaseStock({ orderId, reserveKey }, { idempotencyKey: releaseKey });
    await release();
    await release();
    expect(await counter(`reserved ${orderId}`)).toBe(0n);
  });
});

test("what failed in the service's own code tells its caller nothing", async () => {
  // More than the contract's int32 can say: the message cannot be made.
  await addTo(service.db, "HUGE", 2 ** 40);
  const error = await adjust("HUGE", 1).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ reason: "INTERNAL", message: "Something went wrong on our side." });
  expect(JSON.stringify(error)).not.toMatch(/int32|1099511627776/);
  expect(await counter("HUGE")).toBe(2n ** 40n);
});
