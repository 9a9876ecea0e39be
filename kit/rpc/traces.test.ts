import { createServer } from "node:net";
import { expect, it } from "vitest";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { startTracing, traceFields } from "#kit/telemetry/telemetry.ts";
import { createClient } from "./client.ts";
import { allowed, sku, startInventory } from "./tests/inventory.ts";

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// The trace that arrived with a call, and the one its handler goes on with.
async function tracedBy(call: { traceparent?: string }) {
  const seen: { arrived?: string | undefined; handed?: string | undefined } = {};
  await using inventory = await startInventory({
    getStock: (_request, handled) => {
      seen.arrived = handled.metadata("traceparent");
      seen.handed = handled.traceparent;
      return {};
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await client.getStock({ sku }, { call: { correlationId: "c", ...call } });
  client.close();
  return seen;
}

it("while tracing is off, a trace is passed on as it came", async () => {
  expect(await tracedBy({ traceparent: parent })).toEqual({ arrived: parent, handed: parent });
  expect(await tracedBy({})).toEqual({});
});

it("a trace that is malformed is not passed on", async () => {
  expect((await tracedBy({ traceparent: "00-nonsense" })).handed).toBeUndefined();
});

it("while tracing is on, client and server add spans to the trace they are given, or begin one", async () => {
  const collector = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as { port: number };
  const tracing = await startTracing({ service: "inventory", endpoint: `http://127.0.0.1:${port}` });
  const { arrived, handed } = await tracedBy({ traceparent: parent });
  const begun = await tracedBy({});
  const [outer, client, server] = [parent, arrived, handed].map((traceparent) => traceFields(traceparent));
  expect([client?.traceId, server?.traceId]).toEqual([outer?.traceId, outer?.traceId]);
  expect(new Set([outer?.spanId, client?.spanId, server?.spanId]).size).toBe(3);
  expect(traceFields(begun.handed)?.traceId).toMatch(/^[0-9a-f]{32}$/);
  await tracing.shutdown();
  collector.close();
}, 20_000);
