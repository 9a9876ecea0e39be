import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { CheckoutStep, OrderStatus, OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Call } from "./call.ts";
import { createClient } from "./client.ts";
import { orderId } from "./tests/inventory.ts";
import { startOrders, watcher } from "./tests/orders.ts";

const steps = [CheckoutStep.ACCEPTED, CheckoutStep.STOCK_RESERVED, CheckoutStep.PAYMENT_AUTHORIZED];

it("a stream arrives in order, to its end", async () => {
  await using orders = await startOrders(async function* () {
    for (const step of steps) yield { orderId, step };
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  const received = await Array.fromAsync(client.watchOrder({ orderId }), ({ step }) => step);
  expect(received).toEqual(steps);
  client.close();
});

it("a stream that fails brings what it had and then the error", async () => {
  await using orders = await startOrders(async function* () {
    yield { orderId, status: OrderStatus.PENDING };
    throw new Error("the database is gone");
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  const received: OrderStatus[] = [];
  const reading = (async () => {
    for await (const { status } of client.watchOrder({ orderId })) received.push(status);
  })();
  await expect(reading).rejects.toMatchObject({ code: Code.INTERNAL, reason: "INTERNAL" });
  expect(received).toEqual([OrderStatus.PENDING]);
  client.close();
});

it("a stream is refused like any call", async () => {
  await using orders = await startOrders(async function* () {});
  const client = createClient(OrdersService, { url: orders.url, token: () => "ada" });
  await expect(client.watchOrder({ orderId }).next()).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
  client.close();
});

it("leaving a stream stops its handler", async () => {
  const stopped = Promise.withResolvers<unknown>();
  await using orders = await startOrders(async function* (call: Call) {
    yield { orderId };
    await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
    stopped.resolve(call.signal.reason);
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  for await (const _update of client.watchOrder({ orderId })) break;
  expect(await stopped.promise).toMatchObject({ code: Code.CANCELLED });
  client.close();
});

it("a handler that does not watch its signal is left at its next message", async () => {
  let sent = 0;
  const left = Promise.withResolvers<void>();
  await using orders = await startOrders(async function* () {
    try {
      for (;;) {
        yield { orderId, cancelReason: `${sent++}` };
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      left.resolve();
    }
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  for await (const _update of client.watchOrder({ orderId })) break;
  await left.promise;
  client.close();
});

it("a reader that is slow holds up the sender", async () => {
  let sent = 0;
  await using orders = await startOrders(async function* () {
    for (; sent < 10_000; sent++) yield { orderId, cancelReason: "x".repeat(1_000) };
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  const reading = client.watchOrder({ orderId });
  await reading.next();
  let before = -1;
  const stands = () => {
    const still = sent === before;
    before = sent;
    return still;
  };
  await expect.poll(stands, { timeout: 10_000, interval: 100 }).toBe(true);
  expect(sent).toBeLessThan(1_000);
  await reading.return?.();
  client.close();
});

it("a stream ends at its deadline", async () => {
  await using orders = await startOrders(async function* () {
    yield { orderId };
    await new Promise(() => undefined);
  });
  const client = createClient(OrdersService, { url: orders.url, token: () => watcher });
  // On a busy machine the time may be over before the first message comes.
  const reading = Array.fromAsync(client.watchOrder({ orderId }, { timeoutMs: 200 }));
  await expect(reading).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  client.close();
});
