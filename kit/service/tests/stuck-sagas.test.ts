import { expect, test } from "vitest";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { createReconciler } from "#kit/reconciliation/reconciliation.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { eventually, startForTest } from "#kit/testing/testing.ts";
import { openParts } from "#kit/testing/tests/parts.ts";
import { deadlineIn } from "#kit/time/time.ts";
import { stuckSagas } from "../stuck-sagas.ts";

const rename = statement(
  "test-rename-sagas",
  `update kit.sagas set definition = 'forgotten', status = 'running', next_wakeup_at = 'infinity' where subject_id = $1`,
);
const restore = statement(
  "test-restore-sagas",
  `update kit.sagas set status = 'completed' where subject_id = $1`,
);

test("a saga that makes no step for a minute is a finding until it has ended, and one that moves is none", async () => {
  const parts = await openParts();
  const { db, log, metrics, database, prefix } = parts;
  const service = await startForTest(createCounters(), { database, prefix });
  const orders = service.client(InventoryService, { service: "orders" });
  const orderIds = [newId("order"), newId("order")];
  for (const orderId of orderIds) {
    const request = { orderId, lines: [{ sku: "ANY", quantity: 1 }] };
    await orders.reserveStock(request, { idempotencyKey: newId("key") });
  }
  const [stuck = ""] = orderIds;
  const reconciliations = stuckSagas(db, [{ name: "settle" } as never]);
  const reconciler = createReconciler({
    db,
    log,
    metrics,
    service: "counters",
    reconciliations,
    graceMs: 60_000,
  });
  const find = async () => {
    await reconciler.runNow("stuck-sagas", { deadline: deadlineIn(5_000) });
    return (await reconciler.open("stuck-sagas", 10)).findings;
  };
  await eventually(async () => {
    const [row] = await db.query<{ sagas: number }>(countRunning);
    expect(row?.sagas).toBe(0);
  });
  await db.query(rename, [stuck]);
  expect(await find()).toEqual([]);
  await service.shiftClock(61_000);
  expect(await find()).toMatchObject([
    {
      subjectId: expect.stringMatching(/^saga_/),
      detail: expect.stringMatching(`^forgotten of ${stuck} is running at step \\d after 0 failed attempts$`),
    },
  ]);
  await db.query(restore, [stuck]);
  expect(await find()).toEqual([]);
  await service.stop();
  await parts.close();
});

const countRunning = statement(
  "test-count-running-sagas",
  `select count(*)::int as sagas from kit.sagas where status = 'running'`,
);
