import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { GetStockRequestSchema, InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { Audience, Retry } from "#gen/souk/options/v1/options_pb.ts";
import { deadlineIn } from "#kit/time/time.ts";
import type { Call } from "./call.ts";
import { createClient } from "./client.ts";
import { serviceOf } from "./tests/contract.ts";
import { allowed, type InventoryHandlers, sku, startInventory } from "./tests/inventory.ts";
import { frame, rawCall } from "./tests/raw-call.ts";

const body = frame(toBinary(GetStockRequestSchema, create(GetStockRequestSchema, { sku })));

// A handler that ends only when its call does, and tells why.
function waiting(): { handlers: InventoryHandlers; call: Promise<Call>; reason: Promise<unknown> } {
  const called = Promise.withResolvers<Call>();
  const ended = Promise.withResolvers<unknown>();
  const getStock = (_request: unknown, call: Call) => {
    called.resolve(call);
    return new Promise<never>(() =>
      call.signal.addEventListener("abort", () => ended.resolve(call.signal.reason)),
    );
  };
  return { handlers: { getStock }, call: called.promise, reason: ended.promise };
}

it("a call ends for its caller when the time given is over", async () => {
  await using inventory = await startInventory(waiting().handlers);
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const startedAtMs = performance.now();
  await expect(client.getStock({ sku }, { timeoutMs: 60 })).rejects.toMatchObject({
    code: Code.DEADLINE_EXCEEDED,
    reason: "DEADLINE_EXCEEDED",
  });
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(55);
  client.close();
});

it("a call ends for its handler at its caller's deadline, also when the caller does not cancel it", async () => {
  const { handlers, reason } = waiting();
  await using inventory = await startInventory(handlers);
  const outcome = await rawCall(inventory.url, { body, headers: { "grpc-timeout": "500m" } });
  expect(outcome).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" });
  expect(await reason).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
});

it("a call without a deadline ends at the one of its policy, though its handler goes on", async () => {
  const policy = { audience: Audience.INTERNAL, anonymous: true, deadlineMs: 60, retry: Retry.NEVER };
  const handlers = { act: () => new Promise<never>(() => undefined) };
  await using inventory = await startInventory(
    {},
    { services: [{ descriptor: serviceOf({ Act: policy }), handlers }] },
  );
  const outcome = await rawCall(inventory.url, {
    path: "/test.TestService/Act",
    body: frame(new Uint8Array()),
  });
  expect(outcome).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" });
});

it("a caller's deadline beyond the policy's does not count", async () => {
  const { handlers, call } = waiting();
  await using inventory = await startInventory(handlers);
  const asking = rawCall(inventory.url, { body, headers: { "grpc-timeout": "9H" } });
  expect((await call).deadline.remainingMs()).toBeLessThanOrEqual(2_000);
  await inventory.server.drain(0);
  await asking;
});

it("what is called on behalf of a call ends before it", async () => {
  const { handlers, call } = waiting();
  await using inventory = await startInventory(handlers);
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  // Less than the policy's two seconds, and much more than a call takes on a busy machine.
  const giveUp = new AbortController();
  const context = { correlationId: "c", deadline: deadlineIn(1_800), signal: giveUp.signal };
  const asking = client.getStock({ sku }, { call: context });
  const remainingMs = (await call).deadline.remainingMs();
  expect(remainingMs).toBeLessThanOrEqual(1_780);
  expect(remainingMs).toBeGreaterThan(20);
  giveUp.abort();
  await expect(asking).rejects.toMatchObject({ code: Code.CANCELLED });
  client.close();
});

it("what has no time left is not sent", async () => {
  let asked = 0;
  await using inventory = await startInventory({ getStock: () => ({ stock: { onHand: ++asked } }) });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const call = { correlationId: "c", deadline: deadlineIn(15) };
  await expect(client.getStock({ sku }, { call })).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  expect((await client.getStock({ sku })).stock?.onHand).toBe(1);
  client.close();
});

it("a caller that gives up stops the handler", async () => {
  const { handlers, call, reason } = waiting();
  await using inventory = await startInventory(handlers);
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const giveUp = new AbortController();
  const asking = client.getStock({ sku }, { call: { correlationId: "c", signal: giveUp.signal } });
  await call;
  giveUp.abort();
  await expect(asking).rejects.toMatchObject({ code: Code.CANCELLED });
  expect(await reason).toMatchObject({ code: Code.CANCELLED });
  client.close();
});

it("a caller whose connection is cut stops the handler", async () => {
  const { handlers, call, reason } = waiting();
  await using inventory = await startInventory(handlers);
  const cut = new AbortController();
  const asking = rawCall(inventory.url, { body, signal: cut.signal });
  await call;
  cut.abort();
  await asking;
  expect(await reason).toMatchObject({ code: Code.CANCELLED });
});

it("a signal asked for after the end is already aborted", async () => {
  const called = Promise.withResolvers<Call>();
  await using inventory = await startInventory({
    listStock: (_request, listCall) => {
      called.resolve(listCall);
      return new Promise<never>(() => undefined);
    },
  });
  const cut = new AbortController();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const asking = client.listStock({}, { call: { correlationId: "c", signal: cut.signal } });
  const call = await called.promise;
  cut.abort();
  await expect(asking).rejects.toThrow();
  await expect.poll(() => inventory.logged.length, { timeout: 10_000 }).toBe(1);
  expect(call.signal.aborted).toBe(true);
  client.close();
});

it("an answered call is not aborted when its time is over", async () => {
  const calls: Call[] = [];
  const policy = { audience: Audience.INTERNAL, anonymous: true, deadlineMs: 1_000, retry: Retry.NEVER };
  const act = (_request: never, call: Call) => {
    calls.push(call);
    return {};
  };
  const services = [{ descriptor: serviceOf({ Act: policy }), handlers: { act } }];
  await using server = await startInventory({}, { services });
  await rawCall(server.url, { path: "/test.TestService/Act", body: frame(new Uint8Array()) });
  await expect.poll(() => calls[0]?.deadline.remainingMs(), { interval: 50, timeout: 10_000 }).toBe(0);
  expect(calls[0]?.signal.aborted).toBe(false);
});

it("a call whose time is over when it arrives does not reach its handler", async () => {
  let reached = 0;
  await using inventory = await startInventory({ getStock: () => ({ stock: { onHand: ++reached } }) });
  const outcome = await rawCall(inventory.url, { body, headers: { "grpc-timeout": "1n" } });
  expect(outcome).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" });
  expect(reached).toBe(0);
});
