import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { emptyDays, measureOutbox } from "./statements.ts";

const defaultEveryMs = 5_000;

interface Measured {
  readonly pending: number;
  readonly oldest_age_seconds: number;
  readonly horizon: string;
  readonly held: boolean;
}

/** Measures the backlog and lets go of what was published long ago; both are off the relay's own path. */
export async function keepHouse(
  options: {
    readonly db: Database;
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly housekeepingEveryMs?: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { db, log, metrics, housekeepingEveryMs: everyMs = defaultEveryMs } = options;
  const horizonAge = createHorizonAge();
  while (!signal.aborted) {
    try {
      const [row] = await db.query<Measured>(measureOutbox);
      if (row) {
        metrics.outboxPending.set(row.pending);
        metrics.outboxOldestAgeSeconds.set(row.oldest_age_seconds);
        metrics.outboxHorizonAgeSeconds.set(horizonAge(row));
      }
      await db.query(emptyDays);
    } catch (error) {
      log.debug({ err: error }, "the outbox could not be looked after");
    }
    await delay(everyMs, signal).catch(() => {});
  }
}

/**
 * For how long the same transaction has been the oldest on the server, whoever's it is and in whichever database: seen
 * from outside, because a role may not look into the sessions of others.
 */
function createHorizonAge() {
  let horizon = "";
  let seenAt = 0;
  return (now: Measured) => {
    if (!now.held || now.horizon !== horizon) {
      horizon = now.horizon;
      seenAt = performance.now();
    }
    return (performance.now() - seenAt) / 1_000;
  };
}
