import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { GetStockRequestSchema, InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { createClient } from "./client.ts";
import { allowed, sku, startInventory } from "./tests/inventory.ts";
import { frame, rawCall } from "./tests/raw-call.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

it("a call leaves one line at debug that tells whose it was and what was asked", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await client.getStock({ sku }, { call: { correlationId: "checkout-7", traceparent } });
  client.close();
  expect(inventory.logged).toEqual([
    expect.objectContaining({
      level: "debug",
      method: "souk.inventory.v1.InventoryService/GetStock",
      code: "OK",
      subject: "ada",
      correlationId: "checkout-7",
      traceId: "0af7651916cd43dd8448eb211c80319c",
      request: { sku },
      durationMs: expect.any(Number),
    }),
  ]);
});

it("a refusal is no warning, a fault is one, with its cause", async () => {
  await using inventory = await startInventory({
    listStock: () => {
      throw new Error("the pool is empty");
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await expect(client.getStock({ sku: "no such" })).rejects.toThrow();
  await expect(client.listStock({})).rejects.toThrow();
  client.close();
  expect(inventory.logged).toEqual([
    expect.objectContaining({ level: "debug", code: "INVALID_ARGUMENT", reason: "VALIDATION_FAILED" }),
    expect.objectContaining({ level: "warn", code: "INTERNAL", reason: "INTERNAL" }),
  ]);
  expect(JSON.stringify(inventory.logged[1])).toContain("the pool is empty");
});

it("personal and secret fields do not reach the log", async () => {
  const handlers = Object.fromEntries(OrdersService.methods.map(({ localName }) => [localName, () => ({})]));
  await using orders = await startInventory({}, { services: [{ descriptor: OrdersService, handlers }] });
  const client = createClient(OrdersService, { url: orders.url, token: () => "ada orders:create" });
  const productId = "product_01h455vb4pex5vsknk084sn02q";
  const shippingAddress = {
    name: "Ada Lovelace",
    line1: "12 St James's Square",
    city: "London",
    postalCode: "SW1Y 4JH",
    countryCode: "GB",
  };
  await client.placeOrder(
    { lines: [{ productId, quantity: 2 }], shippingAddress, paymentMethod: "pm_card_visa" },
    { idempotencyKey: "k" },
  );
  client.close();
  expect(orders.logged[0]).toMatchObject({
    request: {
      lines: [{ product_id: productId, quantity: 2 }],
      shipping_address: { name: "[personal]", line1: "[personal]", city: "[personal]", country_code: "GB" },
      payment_method: "[secret]",
    },
  });
  expect(JSON.stringify(orders.logged)).not.toMatch(/Lovelace|James|London|SW1Y|pm_card/);
});

it("calls are counted by method and code, and timed", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await client.getStock({ sku });
  await client.getStock({ sku });
  await expect(client.getStock({ sku: "no such" })).rejects.toThrow();
  client.close();
  const text = await inventory.metrics.registry.metrics();
  const method = 'method="souk.inventory.v1.InventoryService/GetStock"';
  expect(text).toContain(`rpc_server_calls_total{${method},code="OK"} 2`);
  expect(text).toContain(`rpc_server_calls_total{${method},code="INVALID_ARGUMENT"} 1`);
  expect(text).toContain(`rpc_server_duration_seconds_count{${method}} 3`);
});

it("a call that was not answered in time is counted as such", async () => {
  await using inventory = await startInventory({ getStock: () => new Promise(() => undefined) });
  const body = frame(toBinary(GetStockRequestSchema, create(GetStockRequestSchema, { sku })));
  await rawCall(inventory.url, { body, headers: { "grpc-timeout": "30m" } });
  const counted = () => inventory.metrics.registry.getSingleMetricAsString("rpc_server_calls_total");
  await expect.poll(counted).toContain('code="DEADLINE_EXCEEDED"} 1');
});

it("a fault in reporting fails the call and not the process", async () => {
  await using inventory = await startInventory({
    getStock: (request) => {
      Object.defineProperty(request, "sku", { enumerable: true, get: () => raise() });
      return {};
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  await expect(client.getStock({ sku })).rejects.toMatchObject({ reason: "INTERNAL" });
  client.close();
});

function raise(): never {
  throw new Error("unreadable");
}
