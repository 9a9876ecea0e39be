// Deadlines, backoff and waiting on the monotonic clock. A deadline is an absolute point, so it shrinks by itself as it
// is handed on; a wait always ends by its time or by its signal. What time it *is* decides nothing here: where a fact
// depends on the time, the database's souk_now() decides it.
import { setTimeout as sleep } from "node:timers/promises";

/** A point on this process's monotonic clock by which something must have ended. */
export interface Deadline {
  /** Milliseconds on the clock of `performance.now()`. */
  readonly atMs: number;
  /** Milliseconds left, 0 when it has passed. */
  remainingMs(): number;
}

/** The deadline `ms` milliseconds from now; `Infinity` for one that never comes. */
export function deadlineIn(ms: number): Deadline {
  const atMs = performance.now() + ms;
  return { atMs, remainingMs: () => Math.max(0, atMs - performance.now()) };
}

/** Whichever of the two comes first. */
export function earliest(a: Deadline, b: Deadline): Deadline {
  return a.atMs <= b.atMs ? a : b;
}

/** How waits between attempts grow. */
export interface Backoff {
  /** The longest wait before the second attempt. */
  readonly baseMs: number;
  /** The longest wait ever. */
  readonly maxMs: number;
}

/**
 * How long to wait after failed attempt number `attempt` (the first is 1): a random time between 0 and
 * `baseMs * 2^(attempt - 1)`, at most `maxMs`. Full jitter, because callers that failed together must not come back
 * together.
 */
export function backoffMs(
  attempt: number,
  { baseMs, maxMs }: Backoff,
  random: () => number = Math.random,
): number {
  return random() * Math.min(maxMs, baseMs * 2 ** (attempt - 1));
}

// Longer timers fire at once in Node.
const longestTimerMs = 2 ** 31 - 1;

/**
 * Resolves after `ms` milliseconds (at most 24.8 days) and does not keep the process alive meanwhile. Rejects with an
 * AbortError, whose cause is the signal's reason, when the signal aborts first.
 */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return sleep(Math.min(ms, longestTimerMs), undefined, signal ? { ref: false, signal } : { ref: false });
}
