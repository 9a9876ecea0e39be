// What pods have answered, by method: from their own metrics, as differences between two looks at them.

import { parseMetrics, type Sample } from "../../tools/top/metrics-text.ts";
import { boundOf, DURATION_BUCKETS, isServerFault, REQUEST_COUNTS } from "../../tools/top/request-metrics.ts";

/** Answers of one method. */
export interface MethodCounts {
  readonly calls: number;
  /** Those that failed through no fault of the caller's. */
  readonly faults: number;
  /** Calls by upper bound of their duration in seconds; cumulative, the last bound is Infinity. Empty for streams. */
  readonly buckets: readonly (readonly [bound: number, calls: number])[];
}

/** Answers by method. */
export type Counts = Readonly<Record<string, MethodCounts>>;

const NONE: MethodCounts = { calls: 0, faults: 0, buckets: [] };

/** Reads what one pod shows on /metrics: gRPC by method, HTTP by route. */
export function readCounts(text: string): Counts {
  const methods = new Map<string, MethodCounts>();
  for (const sample of parseMetrics(text)) {
    const { method, route } = sample.labels;
    const name = method ?? route;
    if (name === undefined || isBeside(name)) continue;
    const counts = methods.get(name) ?? NONE;
    if (REQUEST_COUNTS.has(sample.name)) methods.set(name, withCalls(counts, sample));
    else if (DURATION_BUCKETS.has(sample.name) && !isWatch(name))
      methods.set(name, withBucket(counts, sample));
  }
  return Object.fromEntries(methods);
}

function withCalls({ calls, faults, buckets }: MethodCounts, sample: Sample): MethodCounts {
  const { value } = sample;
  return { calls: calls + value, faults: faults + (isServerFault(sample) ? value : 0), buckets };
}

function withBucket(counts: MethodCounts, sample: Sample): MethodCounts {
  const bucket = [boundOf(sample), sample.value] as const;
  return { ...counts, buckets: [...counts.buckets, bucket].sort(([a], [b]) => a - b) };
}

/** Kubelets and meshes ask for health all the time; it says nothing about the shop. */
const isBeside = (name: string) => name.startsWith("grpc.health.") || name.startsWith("grpc.reflection.");

/** A watch lasts as long as somebody watches. */
const isWatch = (name: string) => /(^|\/)Watch[A-Z]\w*$/.test(name) || name.endsWith(":watch");

/** Adds up, or with -1 takes away. */
export function addCounts(a: Counts, b: Counts, sign: 1 | -1 = 1): Counts {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries(
    Array.from(names, (name) => [name, addMethod(a[name] ?? NONE, b[name] ?? NONE, sign)]),
  );
}

function addMethod(a: MethodCounts, b: MethodCounts, sign: 1 | -1): MethodCounts {
  const other = new Map(b.buckets);
  const bounds = [...new Set([...a.buckets, ...b.buckets].map(([bound]) => bound))].sort((x, y) => x - y);
  const own = new Map(a.buckets);
  return {
    calls: a.calls + sign * b.calls,
    faults: a.faults + sign * b.faults,
    buckets: bounds.map((bound) => [bound, (own.get(bound) ?? 0) + sign * (other.get(bound) ?? 0)] as const),
  };
}

/** What one pod answered between two looks. One that was restarted between them began again at nothing. */
export function answeredBetween(before: Counts | undefined, after: Counts): Counts {
  if (before === undefined) return after;
  const between = addCounts(after, before, -1);
  const beganAgain = Object.values(between).some(({ calls, faults }) => calls < 0 || faults < 0);
  return beganAgain ? after : between;
}

/** All calls of all methods. */
export const callsOf = (counts: Counts) => Object.values(counts).reduce((sum, { calls }) => sum + calls, 0);
