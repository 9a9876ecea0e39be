import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { parseMetrics } from "./metrics-text.ts";
import { quantileMs, readServiceNumbers } from "./service-numbers.ts";

/** The text of a registry that was filled as a service fills it. */
async function metricsText(): Promise<string> {
  const registers = [new Registry()];
  const calls = new Counter({
    name: "rpc_server_calls_total",
    help: "h",
    labelNames: ["method", "code"],
    registers,
  });
  const duration = new Histogram({
    ...{ name: "rpc_server_duration_seconds", help: "h", labelNames: ["method"] },
    ...{ buckets: [0.01, 0.1, 1], registers },
  });
  const lag = new Gauge({
    name: "consumer_pending_messages",
    help: "h",
    labelNames: ["consumer"],
    registers,
  });
  new Gauge({ name: "outbox_pending_events", help: "h", registers }).set(7);
  calls.inc({ method: "a/Get", code: "OK" }, 90);
  calls.inc({ method: "a/Get", code: "NOT_FOUND" }, 8);
  calls.inc({ method: "a/Get", code: "UNAVAILABLE" }, 2);
  for (let count = 0; count < 10; count += 1) duration.observe({ method: "a/Get" }, 0.05);
  duration.observe({ method: "souk.orders.v1.OrdersService/WatchOrder" }, 0.9);
  lag.set({ consumer: "one" }, 3);
  lag.set({ consumer: 'odd "name"\\' }, 4);
  return registers[0]?.metrics() ?? "";
}

test("requests, the server's own failures and gauges are read from a service's metrics", async () => {
  const numbers = readServiceNumbers(parseMetrics(await metricsText()));
  expect(numbers).toMatchObject({ requests: 100, errors: 2, outboxPending: 7, consumerPending: 7 });
  expect(numbers.sagasInFlight).toBeUndefined();
});

test("a watch does not count among the durations", async () => {
  const { durationBuckets } = readServiceNumbers(parseMetrics(await metricsText()));
  expect(durationBuckets.get(Number.POSITIVE_INFINITY)).toBe(10);
});

test("labels with quotes and backslashes are read as they were written", async () => {
  const consumers = parseMetrics(await metricsText()).filter(
    ({ name }) => name === "consumer_pending_messages",
  );
  expect(consumers.map(({ labels }) => labels.consumer)).toEqual(["one", 'odd "name"\\']);
});

const buckets = (...counts: [number, number][]) => new Map(counts);
const inf = Number.POSITIVE_INFINITY;

test("a quantile is interpolated within its bucket, over what happened between two readings", () => {
  const before = buckets([0.1, 100], [1, 100], [inf, 100]);
  const after = buckets([0.1, 150], [1, 200], [inf, 200]);
  expect(quantileMs(before, after, 0.5)).toBeCloseTo(100);
  expect(quantileMs(before, after, 0.75)).toBeCloseTo(550);
});

test("above the last bound the quantile is that bound; without requests there is none", () => {
  const after = buckets([0.1, 0], [1, 0], [inf, 5]);
  expect(quantileMs(buckets(), after, 0.99)).toBe(1000);
  expect(quantileMs(after, after, 0.99)).toBeUndefined();
});
