import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts } from "#kit/testing/tests/parts.ts";

test("while NATS is away commands go on and events wait; when it is back the backlog drains, once each", async () => {
  await using server = await startOwnStore("nats");
  const parts = await openParts({ natsUrl: server.url });
  const stopping = new AbortController();
  const relay = createRelay(parts);
  const relaying = relay.run(stopping.signal);
  const announceMany = (from: number, to: number) =>
    Promise.all(
      Array.from({ length: to - from }, (_, n) =>
        parts.db.transaction(async (tx) => {
          const about = { aggregateVersion: 1, correlationId: "corr" };
          announce(tx, StockLowSchema, { sku: `SKU-${from + n}`, available: 1 }, about);
        }),
      ),
    );
  await announceMany(0, 10);
  await eventually(async () => expect(await parts.published()).toHaveLength(10));
  await server.kill("SIGKILL");
  await announceMany(10, 700);
  relay.wake();
  await server.start();
  const skus = await eventually(async () => {
    const published = await parts.published();
    expect(published.length).toBeGreaterThanOrEqual(700);
    return published.map((message) => fromBinary(StockLowSchema, message.data).sku);
  }, 15_000);
  expect(new Set(skus).size).toBe(700);
  expect(skus).toHaveLength(700);
  stopping.abort();
  await relaying;
  await parts.close();
});
