import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { type ProcessReading, toRows } from "./rows.ts";
import { drawTable } from "./table.ts";

const inf = Number.POSITIVE_INFINITY;

function reading(requests: number, cpuMs: number, more: Partial<ProcessReading> = {}): ProcessReading {
  const durationBuckets = new Map([
    [0.1, requests],
    [inf, requests],
  ]);
  const gauges = { outboxPending: 4, consumerPending: 5, sagasInFlight: 6 };
  const numbers = { requests, errors: requests / 100, durationBuckets, ...gauges };
  return { name: "orders", pid: 1, usage: { cpuMs, memoryBytes: 1_048_576 }, numbers, ...more };
}

test("rates are over the time between two readings, gauges are of the later one", () => {
  const before = { atMs: 0, processes: [reading(100, 1000)] };
  const after = { atMs: 2000, processes: [reading(300, 2000)] };
  const [row] = toRows(before, after);
  expect(row).toMatchObject({ cpuPercent: 50, requestsPerSecond: 100, errorsPerSecond: 1, outboxPending: 4 });
  expect(row?.p99Ms).toBeCloseTo(99);
});

test("a process that was started anew has no rates yet", () => {
  const before = { atMs: 0, processes: [reading(1000, 1000)] };
  const after = { atMs: 1000, processes: [reading(3, 10, { pid: 2 })] };
  const [row] = toRows(before, after);
  expect(row).toMatchObject({
    pid: 2,
    cpuPercent: undefined,
    requestsPerSecond: undefined,
    sagasInFlight: 6,
  });
});

test("the last row adds up what can be added", () => {
  const redis = { name: "redis", pid: 3, usage: { cpuMs: 0, memoryBytes: 1_048_576 }, numbers: undefined };
  const before = { atMs: 0, processes: [reading(100, 1000), redis] };
  const after = { atMs: 1000, processes: [reading(200, 1500), redis] };
  const all = toRows(before, after).at(-1);
  expect(all).toMatchObject({
    name: "all",
    cpuPercent: 50,
    memoryBytes: 2_097_152,
    requestsPerSecond: undefined,
  });
});

test("the table has a line for each process and names every column", () => {
  const before = { atMs: 0, processes: [reading(100, 1000)] };
  const after = { atMs: 1000, processes: [reading(200, 1500)] };
  const lines = stripVTControlCharacters(drawTable(toRows(before, after), true)).split("\n");
  expect(lines.find((line) => line.includes("Process"))).toMatch(
    /PID.*CPU %.*Memory MiB.*Requests\/s.*Errors\/s.*p99 ms.*Outbox.*Consumer lag.*Sagas/,
  );
  expect(lines.find((line) => line.includes("orders"))).toMatch(
    /1 .* 50\.0 .* 1 .* 100\.0 .* 1\.0 .* 99\.0 .* 4 .* 5 .* 6 /,
  );
});
