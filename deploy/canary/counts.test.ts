import { Counter, Registry } from "prom-client";
import { expect, test } from "vitest";
import { createMetrics } from "#kit/telemetry/telemetry.ts";
import { addCounts, answeredBetween, callsOf, readCounts } from "./counts.ts";

const PLACE = "souk.orders.v1.OrdersService/PlaceOrder";
const WATCH = "souk.orders.v1.OrdersService/WatchOrder";

async function aPod() {
  const metrics = createMetrics();
  const answer = (method: string, code: string, seconds: number) => {
    metrics.rpcServerCalls(method, code).inc();
    metrics.rpcServerDuration(method).observe(seconds);
  };
  return { metrics, answer, look: async () => readCounts(await metrics.registry.metrics()) };
}

test("what a service shows of itself is read: calls, faults that are its own, and durations but for watches", async () => {
  const { answer, look } = await aPod();
  answer(PLACE, "OK", 0.003);
  answer(PLACE, "INTERNAL", 0.3);
  answer(PLACE, "UNAVAILABLE", 0.003);
  answer(PLACE, "NOT_FOUND", 0.003);
  answer(PLACE, "RESOURCE_EXHAUSTED", 0.003);
  answer(WATCH, "OK", 60);
  answer("grpc.health.v1.Health/Check", "OK", 0.001);
  const counts = await look();
  expect(Object.keys(counts).sort()).toEqual([PLACE, WATCH]);
  expect(counts[PLACE]).toMatchObject({ calls: 5, faults: 2 });
  expect(counts[PLACE]?.buckets.find(([bound]) => bound === 0.005)).toEqual([0.005, 4]);
  expect(counts[PLACE]?.buckets.at(-1)).toEqual([Number.POSITIVE_INFINITY, 5]);
  expect(counts[WATCH]).toEqual({ calls: 1, faults: 0, buckets: [] });
});

test("of the gateway's routes those that end with 5xx are faults", async () => {
  const registry = new Registry();
  const requests = new Counter({
    name: "http_server_requests_total",
    help: "h",
    labelNames: ["route", "status"],
    registers: [registry],
  });
  requests.labels("/v1/orders", "202").inc(7);
  requests.labels("/v1/orders", "404").inc(2);
  requests.labels("/v1/orders", "503").inc(1);
  expect(readCounts(await registry.metrics())["/v1/orders"]).toMatchObject({ calls: 10, faults: 1 });
});

test("between two looks counts what came between; a process that began again counts from nothing", async () => {
  const { answer, look } = await aPod();
  answer(PLACE, "OK", 0.003);
  answer(PLACE, "OK", 0.003);
  const before = await look();
  answer(PLACE, "INTERNAL", 0.003);
  const after = await look();
  expect(answeredBetween(before, after)[PLACE]).toMatchObject({ calls: 1, faults: 1 });
  expect(answeredBetween(undefined, after)[PLACE]).toMatchObject({ calls: 3, faults: 1 });
  const restarted = await aPod();
  restarted.answer(PLACE, "OK", 0.003);
  expect(answeredBetween(before, await restarted.look())[PLACE]).toMatchObject({ calls: 1, faults: 0 });
});

test("pods of a track add up, whatever methods each has answered", async () => {
  const [one, other] = [await aPod(), await aPod()];
  one.answer(PLACE, "OK", 0.003);
  other.answer(PLACE, "INTERNAL", 0.3);
  other.answer(WATCH, "OK", 1);
  const sum = addCounts(await one.look(), await other.look());
  expect(callsOf(sum)).toBe(3);
  expect(sum[PLACE]).toMatchObject({ calls: 2, faults: 1 });
  expect(sum[PLACE]?.buckets.find(([bound]) => bound === 0.005)).toEqual([0.005, 1]);
});
