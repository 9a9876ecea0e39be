import { expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { on } from "#kit/inbox/inbox.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { connectForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts } from "#kit/testing/tests/parts.ts";

test("a consumer that the server has lost is made again, and goes through the stream without applying twice", async () => {
  const parts = await openParts();
  const foreign = await connectForeignEvents(parts.prefix);
  const stopping = new AbortController();
  const count = on(StockLowSchema, { apply: async (tx, { sku }) => void (await addTo(tx, sku, 1)) });
  const consuming = runConsumers({ ...parts, service: "counters", consumers: [count] }, stopping.signal);
  const publish = (sku: string) =>
    foreign.publish(StockLowSchema, [{ message: { sku, available: 1 }, aggregateVersion: 1 }]);
  const applied = (sku: string) =>
    eventually(async () => expect(await readCounter(parts.db, sku)).toBe(1n), 18_000);
  await publish("BEFORE");
  await applied("BEFORE");
  await parts.nats.manager.consumers.delete(parts.stream, `counters_${parts.stream}`);
  await publish("AFTER");
  await applied("AFTER");
  expect(await readCounter(parts.db, "BEFORE")).toBe(1n);
  stopping.abort();
  await consuming;
  await foreign.close();
  await parts.close();
});
