import { afterAll, beforeAll, expect, test } from "vitest";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { createClient } from "#kit/rpc/client.ts";
import { allowed, sku, startInventory } from "#kit/rpc/tests/inventory.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { aDefinition, openEngine } from "./shop.ts";

let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

/** By then the engine waits some seconds between two attempts. */
const awayMs = 6_000;
const sagas = 200;

test("sagas that wait for a participant which was away go on together when it is back, rather than each after its own wait", async () => {
  const applied = new Map<string, number>();
  const reserveStock = async (
    _request: unknown,
    { idempotencyKey = "" }: { idempotencyKey?: string | undefined },
  ) => {
    applied.set(idempotencyKey, (applied.get(idempotencyKey) ?? 0) + 1);
    return {};
  };
  const before = await startInventory({ reserveStock });
  const client = createClient(InventoryService, { url: before.url, token: () => allowed });
  await before[Symbol.asyncDispose]();
  let attempts = 0;
  const definition = aDefinition([
    {
      name: "reserve",
      attemptTimeoutMs: 5_000,
      budgetMs: 60_000,
      async do(_saga, { key: idempotencyKey, timeoutMs }) {
        attempts += 1;
        const lines = [{ sku, quantity: 1 }];
        await client.reserveStock({ orderId: newId("order"), lines }, { idempotencyKey, timeoutMs });
        return {};
      },
    },
  ]);
  const { start, stop } = openEngine(parts, [definition]);
  await start(definition, ...Array.from({ length: sagas }, (_, n) => `order-${n}`));
  const completed = `select count(*)::int as n from kit.sagas where status = 'completed'`;
  const awayUntilMs = performance.now() + awayMs;
  await eventually(() => expect(performance.now()).toBeGreaterThan(awayUntilMs), awayMs + 2_000);
  expect(attempts).toBeGreaterThan(2 * sagas);
  expect(await parts.asOwner(completed)).toEqual([{ n: 0 }]);
  await using _after = await startInventory({ reserveStock }, { port: before.port });
  await eventually(async () => expect(await parts.asOwner(completed)).toEqual([{ n: sagas }]), 10_000);
  const [spread] = await parts.asOwner(
    `select extract(epoch from percentile_disc(0.9) within group (order by updated_at) - min(updated_at))::float as seconds
       from kit.sagas`,
  );
  // Waits end at random within five seconds.
  expect(spread?.seconds).toBeLessThan(2.5);
  expect([applied.size, Math.max(...applied.values())]).toEqual([sagas, 1]);
  await stop();
  client.close();
});
