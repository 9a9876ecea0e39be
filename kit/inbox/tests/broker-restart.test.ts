import { afterAll, beforeAll, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { on } from "#kit/inbox/inbox.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let server: Awaited<ReturnType<typeof startOwnStore>>;
let parts: Parts;

beforeAll(async () => {
  server = await startOwnStore("nats");
  parts = await openParts({ natsUrl: server.url });
});
afterAll(async () => {
  await parts.close();
  await server[Symbol.asyncDispose]();
});

test("after NATS was killed and started again, events go on being applied, each once", async () => {
  const stopping = new AbortController();
  const count = on(StockLowSchema, { apply: async (tx, { sku }) => void (await addTo(tx, sku, 1)) });
  const relay = createRelay(parts);
  const loops = [
    relay.run(stopping.signal),
    runConsumers({ ...parts, service: "counters", consumers: [count] }, stopping.signal),
  ];
  const announceMany = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1)
      await parts.db.transaction(async (tx) => {
        const about = { aggregateVersion: 1, correlationId: "corr" };
        announce(tx, StockLowSchema, { sku: `SKU-${n}`, available: 1 }, about);
      });
    relay.wake();
  };
  const total = `select count(*)::int as n, max(value)::int as most from counters`;
  const applied = (n: number) =>
    eventually(async () => expect(await parts.asOwner(total)).toEqual([{ n, most: 1 }]), 18_000);

  await announceMany(0, 50);
  await applied(50);
  await announceMany(50, 200);
  await server.kill("SIGKILL");
  await announceMany(200, 250);
  await server.start();
  await applied(250);
  await announceMany(250, 260);
  await applied(260);
  stopping.abort();
  await Promise.all(loops);
});
