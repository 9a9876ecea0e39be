import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "#gen/grpc/health/v1/health_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { createClient } from "./client.ts";
import { allowed, orderId, sku, startInventory } from "./tests/inventory.ts";
import { startOrders, watcher } from "./tests/orders.ts";

function health({ port }: { port: number }, service: string): Promise<Status> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise<Status>((resolve, reject) =>
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      (request) => Buffer.from(toBinary(HealthCheckRequestSchema, request)),
      (bytes) => fromBinary(HealthCheckResponseSchema, bytes),
      create(HealthCheckRequestSchema, { service }),
      (error, answer) => (error === null ? resolve(answer?.status ?? Status.UNKNOWN) : reject(error)),
    ),
  ).finally(() => client.close());
}

const name = InventoryService.typeName;

it("a server that has just started lives and does not serve", async () => {
  await using inventory = await startInventory();
  const statuses = await Promise.all(
    ["liveness", "readiness", "", name].map((service) => health(inventory, service)),
  );
  expect(statuses).toEqual([Status.SERVING, Status.NOT_SERVING, Status.NOT_SERVING, Status.NOT_SERVING]);
});

it("the whole process is said to serve, or one service not to", async () => {
  await using inventory = await startInventory();
  inventory.server.setServing("", true);
  inventory.server.setServing(name, false);
  const statuses = await Promise.all(["readiness", "", name].map((service) => health(inventory, service)));
  expect(statuses).toEqual([Status.SERVING, Status.SERVING, Status.NOT_SERVING]);
});

it("the health of what is not served is not found", async () => {
  await using inventory = await startInventory();
  await expect(health(inventory, "no.such.Service")).rejects.toMatchObject({ code: Code.NOT_FOUND });
});

it("whoever watches a server's health hears of its drain", async () => {
  await using inventory = await startInventory();
  inventory.server.setServing("", true);
  const client = new Client(`127.0.0.1:${inventory.port}`, credentials.createInsecure());
  const watching = client.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    (request) => Buffer.from(toBinary(HealthCheckRequestSchema, request)),
    (bytes) => fromBinary(HealthCheckResponseSchema, bytes),
    create(HealthCheckRequestSchema, { service: "readiness" }),
  );
  watching.on("error", () => undefined);
  const statuses: Status[] = [];
  watching.on("data", ({ status }) => statuses.push(status));
  await expect.poll(() => statuses).toEqual([Status.SERVING]);
  const drained = inventory.server.drain(1_000);
  await expect.poll(() => statuses).toEqual([Status.SERVING, Status.NOT_SERVING]);
  watching.cancel();
  client.close();
  await drained;
});

it("a drain waits for calls under way", async () => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using inventory = await startInventory({
    getStock: async () => {
      asked.resolve();
      await release.promise;
      return { stock: { sku } };
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const asking = client.getStock({ sku });
  await asked.promise;
  const drained = inventory.server.drain(2_000);
  release.resolve();
  expect((await asking).stock?.sku).toBe(sku);
  client.close();
  await drained;
});

it("a drain does not wait longer than it may", async () => {
  const asked = Promise.withResolvers<void>();
  await using inventory = await startInventory({
    getStock: () => {
      asked.resolve();
      return new Promise(() => undefined);
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const asking = client.getStock({ sku }, { retries: 0 }).catch((error: unknown) => error);
  await asked.promise;
  const startedAtMs = performance.now();
  await inventory.server.drain(50);
  expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  expect(await asking).toBeInstanceOf(Error);
  client.close();
});

it("a drain ends streams, so that their readers go elsewhere", async () => {
  await using orders = await startOrders(async function* (call) {
    yield { orderId };
    await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  const reading = client.watchOrder({ orderId });
  await reading.next();
  const ended = expect(reading.next()).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  const startedAtMs = performance.now();
  await orders.server.drain(4_000);
  await ended;
  expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  client.close();
});
