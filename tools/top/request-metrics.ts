// The kit's metrics of requests, as everybody reads them who counts answers and faults.

import type { Sample } from "./metrics-text.ts";

const SERVER_FAULTS = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** Names of the counters of requests: of gRPC by method and code, of HTTP by route and status. */
export const REQUEST_COUNTS: ReadonlySet<string> = new Set([
  "rpc_server_calls_total",
  "http_server_requests_total",
]);

/** Names of the buckets of their durations. */
export const DURATION_BUCKETS: ReadonlySet<string> = new Set([
  "rpc_server_duration_seconds_bucket",
  "http_server_duration_seconds_bucket",
]);

/** Whether a counter is of requests that failed through no fault of the caller's. */
export const isServerFault = ({ labels }: Sample): boolean =>
  SERVER_FAULTS.has(labels.code ?? "") || Number(labels.status ?? 0) >= 500;

/** A bucket's upper bound in seconds; that of the last is Infinity. */
export const boundOf = ({ labels }: Sample): number =>
  labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le);
