import type { EdgeLimits } from "./options.ts";

/** Bounds that hold where the gateway names none. */
export const defaultLimits: EdgeLimits = {
  maxTimeoutMs: 30_000,
  maxRequestBytes: 1024 * 1024,
  // grpc-js's own receive limit: what a backend may send its other callers, it may send us.
  maxResponseBytes: 4 * 1024 * 1024,
  maxJsonDepth: 100,
  maxTargetBytes: 8 * 1024,
  // Above maxTargetBytes, so that an over-long target is seen and answered as such (414, not 431).
  maxHeaderBytes: 32 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  writeTimeoutMs: 30_000,
  // Long enough that callers with a request now and then keep their connection.
  idleTimeoutMs: 300_000,
  // Below the idle limits of common proxies (60 s) with room for a lost one.
  heartbeatMs: 15_000,
  maxConcurrentStreams: 100,
  maxInFlightPerBackend: 10_000,
  maxSessionsPerBackend: 16,
  // Where nobody sends new callers elsewhere meanwhile, waiting is of no use.
  drainLingerMs: 0,
  drainTimeoutMs: 10_000,
};
