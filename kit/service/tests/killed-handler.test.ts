import { expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { readDeadLetterPage } from "#kit/inbox/dead-letters.ts";
import { readCounter } from "#kit/testing/fixture/counter-store.ts";
import { connectForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts } from "#kit/testing/tests/parts.ts";
import { type Child, startChild } from "./child.ts";

test("a handler that ends its process is found out; its event is set aside once, and all others are applied once", async () => {
  const parts = await openParts();
  const foreign = await connectForeignEvents(parts.prefix);
  const skus = ["A", "B", "KILLS", "C", "D"];
  await foreign.publish(
    StockLowSchema,
    skus.map((sku) => ({ message: { sku, available: 1 }, aggregateVersion: 1 })),
  );
  const letters = () => readDeadLetterPage(parts.db, { status: "waiting", beforeId: undefined, limit: 10 });

  const started: Child[] = [];
  let deaths = 0;
  let isOver = false;
  const keepRunning = (async () => {
    while (!isOver) {
      const child = await startChild(parts, { EVENT_ACK_WAIT_MS: "300" }).catch(() => undefined);
      if (child) started.push(child);
      const ended = await child?.ended;
      if (ended === undefined || ended.signal === "SIGKILL") deaths += 1;
    }
  })();
  await eventually(async () => expect(await letters()).toHaveLength(1), 150_000);
  for (const sku of ["A", "B", "C", "D"])
    await eventually(async () => expect(await readCounter(parts.db, `heard ${sku}`)).toBe(1n));
  isOver = true;
  started.at(-1)?.process.kill("SIGTERM");
  await keepRunning;

  expect(await letters()).toMatchObject([{ aggregateId: "KILLS", reason: "HANDLER_DIED" }]);
  // Twice in company, and as often alone as a handler may.
  expect(deaths).toBeGreaterThanOrEqual(4);
  expect(deaths).toBeLessThanOrEqual(6);
  // The count of the deadly one stays, so that a delivery already under way is not tried.
  expect(await parts.asOwner("select attempts from kit.handler_attempts")).toEqual([
    { attempts: expect.any(Number) },
  ]);
  await foreign.close();
  await parts.close();
}, 180_000);
