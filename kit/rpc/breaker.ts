/** Tells whether a callee is worth asking. */
export interface Breaker {
  /** Whether a call may be sent now. Who is let through while the callee is left alone is the one sent ahead. */
  admits(): boolean;
  /** A call was answered. */
  succeeded(): void;
  /** A call has shown that the callee is ill. */
  failed(): void;
}

/**
 * After `breakAfter` failures in a row only one call is let through each `probeEveryMs`, until one is answered. Nobody waits for
 * the one sent ahead: it may have met a process that is stopped, and take all the time it has.
 */
export function createBreaker(breakAfter: number, probeEveryMs: number): Breaker {
  let failures = 0;
  let nextProbeMs = 0;
  return {
    admits() {
      if (failures < breakAfter) return true;
      const nowMs = performance.now();
      if (nowMs < nextProbeMs) return false;
      nextProbeMs = nowMs + probeEveryMs;
      return true;
    },
    succeeded() {
      failures = 0;
    },
    failed() {
      failures += 1;
      if (failures === breakAfter) nextProbeMs = performance.now() + probeEveryMs;
    },
  };
}
