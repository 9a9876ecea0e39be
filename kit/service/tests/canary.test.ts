import { afterAll, beforeAll, expect, test } from "vitest";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { readCounter } from "#kit/testing/fixture/counter-store.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { eventually, startForTest, type TestService } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let canary: TestService;
const ran: string[] = [];

beforeAll(async () => {
  parts = await openParts();
  const { database, prefix } = parts;
  const definition = createCounters({
    jobs: () => [
      { name: "for-callers", everyMs: 10, inCanary: true, run: async () => void ran.push("for-callers") },
      { name: "expiry", everyMs: 10, run: async () => void ran.push("expiry") },
    ],
  });
  canary = await startForTest(definition, { database, prefix, env: { TRACK: "canary" } });
});
afterAll(async () => {
  await canary.stop();
  await parts.close();
});

const orders = (service: TestService) => service.client(InventoryService, { service: "orders" });
const clerk = (service: TestService) => service.client(InventoryService, { scope: "inventory:write" });

test("a canary answers calls; what follows from them waits for a stable replica, which does all of it", async () => {
  const orderId = newId("order");
  const lines = [{ sku: "ANY", quantity: 1 }];
  await orders(canary).reserveStock({ orderId, lines }, { idempotencyKey: newId("key") });
  const received = { sku: "SEEN", quantity: 3, reason: MovementReason.RECEIVED };
  await clerk(canary).adjustStock(received, { idempotencyKey: newId("key") });
  await eventually(() => expect(ran.filter((name) => name === "for-callers").length).toBeGreaterThan(20));
  expect(ran).not.toContain("expiry");
  expect(await parts.published()).toEqual([]);
  expect(await parts.asOwner("select status, step, lease_owner from kit.sagas")).toEqual([
    { status: "running", step: 0, lease_owner: null },
  ]);
  const { database, prefix } = parts;
  const stable = await startForTest(createCounters(), { database, prefix });
  await eventually(async () => {
    expect(await readCounter(parts.db, `completed ${orderId}`)).toBe(1n);
    expect(await readCounter(parts.db, "heard SEEN")).toBe(1n);
  });
  await stable.stop();
});

test("what a canary begins while a stable replica runs, that one drives within a second or two", async () => {
  const { database, prefix } = parts;
  const stable = await startForTest(createCounters(), { database, prefix });
  const orderId = newId("order");
  const lines = [{ sku: "ANY", quantity: 1 }];
  await orders(canary).reserveStock({ orderId, lines }, { idempotencyKey: newId("key") });
  await eventually(async () => expect(await readCounter(parts.db, `settled ${orderId}`)).toBe(1n));
  await eventually(async () => expect(await readCounter(parts.db, `completed ${orderId}`)).toBe(1n));
  await stable.stop();
});
