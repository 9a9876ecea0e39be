import { createServer } from "node:net";
import { expect, it } from "vitest";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { startTracing, traceFields } from "#kit/telemetry/telemetry.ts";
import { createClient } from "./client.ts";
import { allowed, sku, startInventory } from "./tests/inventory.ts";

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async function tracedBy(call: { traceparent?: string }): Promise<string | undefined> {
  let seen: string | undefined;
  await using inventory = await startInventory({
    getStock: (_request, { traceparent }) => {
      seen = traceparent;
      return {};
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await client.getStock({ sku }, { call: { correlationId: "c", ...call } });
  client.close();
  return seen;
}

it("while tracing is off, a trace is passed on as it came", async () => {
  expect(await tracedBy({ traceparent: parent })).toBe(parent);
  expect(await tracedBy({})).toBeUndefined();
});

it("a trace that is malformed is not passed on", async () => {
  expect(await tracedBy({ traceparent: "00-nonsense" })).toBeUndefined();
});

it("while tracing is on, client and server add spans to the trace they are given, or begin one", async () => {
  const collector = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as { port: number };
  const tracing = await startTracing({ service: "inventory", endpoint: `http://127.0.0.1:${port}` });
  const continued = traceFields(await tracedBy({ traceparent: parent }));
  const begun = traceFields(await tracedBy({}));
  expect(continued?.traceId).toBe(traceFields(parent)?.traceId);
  expect(continued?.spanId).not.toBe(traceFields(parent)?.spanId);
  expect(begun?.traceId).toMatch(/^[0-9a-f]{32}$/);
  await tracing.shutdown();
  collector.close();
}, 20_000);
