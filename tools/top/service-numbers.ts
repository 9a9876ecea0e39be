// What the metrics of one process say, reduced to the few numbers the table shows.

import type { Sample } from "./metrics-text.ts";
import { boundOf, DURATION_BUCKETS, isServerFault, REQUEST_COUNTS } from "./request-metrics.ts";

/** Totals since the process started, and gauges as they are now. */
export type ServiceNumbers = {
  requests: number;
  /** Requests that failed through no fault of the caller's. */
  errors: number;
  /** Requests by upper bound of their duration in seconds; cumulative, as Prometheus has them. */
  durationBuckets: ReadonlyMap<number, number>;
  /** Gauges; `undefined` where the process has no such thing. */
  outboxPending: number | undefined;
  consumerPending: number | undefined;
  sagasInFlight: number | undefined;
};

/** Reduces samples. A watch lasts as long as somebody watches, so it does not count among the durations. */
export function readServiceNumbers(samples: readonly Sample[]): ServiceNumbers {
  const requests = samples.filter(({ name }) => REQUEST_COUNTS.has(name));
  const durations = samples.filter(({ name, labels }) => DURATION_BUCKETS.has(name) && !isWatch(labels));
  const gauge = (gaugeName: string) => {
    const found = samples.filter(({ name }) => name === gaugeName);
    return found.length === 0 ? undefined : sum(found);
  };
  return {
    requests: sum(requests),
    errors: sum(requests.filter(isServerFault)),
    durationBuckets: addBuckets(durations),
    outboxPending: gauge("outbox_pending_events"),
    consumerPending: gauge("consumer_pending_messages"),
    sagasInFlight: gauge("sagas_in_flight"),
  };
}

/**
 * The duration in milliseconds that a share of the requests between two readings stayed below, interpolated within
 * its bucket; `undefined` where there were none.
 */
export function quantileMs(
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
  quantile: number,
): number | undefined {
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const countUpTo = (bound: number) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0);
  const total = countUpTo(Number.POSITIVE_INFINITY);
  if (total <= 0) return undefined;
  const rank = quantile * total;
  const index = bounds.findIndex((bound) => countUpTo(bound) >= rank);
  const lower = index > 0 ? (bounds[index - 1] ?? 0) : 0;
  const upper = bounds[index] ?? lower;
  if (!Number.isFinite(upper)) return lower * 1000;
  const below = index > 0 ? countUpTo(lower) : 0;
  return (lower + ((upper - lower) * (rank - below)) / (countUpTo(upper) - below)) * 1000;
}

function isWatch({ method = "", route = "" }: Readonly<Record<string, string>>): boolean {
  return /(^|\/)Watch[A-Z]\w*$/.test(method) || route.endsWith(":watch");
}

function addBuckets(samples: readonly Sample[]): Map<number, number> {
  const buckets = new Map<number, number>();
  for (const sample of samples) {
    const bound = boundOf(sample);
    buckets.set(bound, (buckets.get(bound) ?? 0) + sample.value);
  }
  return buckets;
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0);
}
