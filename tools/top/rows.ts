import type { Usage } from "./process-usage.ts";
import { quantileMs, type ServiceNumbers } from "./service-numbers.ts";

/** Everything read at one moment. */
export type Reading = {
  /** Monotonic time in milliseconds. */
  atMs: number;
  processes: readonly ProcessReading[];
};

/** One process at one moment; numbers are missing where it has no metrics, or did not answer. */
export type ProcessReading = {
  name: string;
  pid: number;
  usage: Usage | undefined;
  numbers: ServiceNumbers | undefined;
};

/** One line of the table; `undefined` where there is nothing to say. */
export type Row = {
  name: string;
  pid: number | undefined;
  cpuPercent: number | undefined;
  memoryBytes: number | undefined;
  requestsPerSecond: number | undefined;
  errorsPerSecond: number | undefined;
  p99Ms: number | undefined;
  outboxPending: number | undefined;
  consumerPending: number | undefined;
  sagasInFlight: number | undefined;
};

/** Compares two readings: rates over the time between them, gauges of the later one; the last row adds all up. */
export function toRows(before: Reading, after: Reading): Row[] {
  const seconds = (after.atMs - before.atMs) / 1000;
  const rows = after.processes.map((process) => {
    // A process that was started anew counts from zero: its earlier self is no base.
    const earlier = before.processes.find(({ name, pid }) => name === process.name && pid === process.pid);
    return toRow(earlier, process, seconds);
  });
  return [...rows, totalOf(rows)];
}

function toRow(earlier: ProcessReading | undefined, process: ProcessReading, seconds: number): Row {
  const { name, pid, usage, numbers } = process;
  const perSecond = (then: number | undefined, now: number | undefined) =>
    then === undefined || now === undefined ? undefined : Math.max(0, now - then) / seconds;
  const cpuMsPerSecond = perSecond(earlier?.usage?.cpuMs, usage?.cpuMs);
  return {
    name,
    pid,
    cpuPercent: cpuMsPerSecond === undefined ? undefined : cpuMsPerSecond / 10,
    memoryBytes: usage?.memoryBytes,
    requestsPerSecond: perSecond(earlier?.numbers?.requests, numbers?.requests),
    errorsPerSecond: perSecond(earlier?.numbers?.errors, numbers?.errors),
    p99Ms:
      earlier?.numbers && numbers
        ? quantileMs(earlier.numbers.durationBuckets, numbers.durationBuckets, 0.99)
        : undefined,
    outboxPending: numbers?.outboxPending,
    consumerPending: numbers?.consumerPending,
    sagasInFlight: numbers?.sagasInFlight,
  };
}

/** Requests are not added up: one order is a request to the gateway and then to several services. */
function totalOf(rows: readonly Row[]): Row {
  const sum = (read: (row: Row) => number | undefined) =>
    rows.reduce((total, row) => total + (read(row) ?? 0), 0);
  return {
    name: "all",
    pid: undefined,
    cpuPercent: sum((row) => row.cpuPercent),
    memoryBytes: sum((row) => row.memoryBytes),
    requestsPerSecond: undefined,
    errorsPerSecond: sum((row) => row.errorsPerSecond),
    p99Ms: undefined,
    outboxPending: sum((row) => row.outboxPending),
    consumerPending: sum((row) => row.consumerPending),
    sagasInFlight: sum((row) => row.sagasInFlight),
  };
}
