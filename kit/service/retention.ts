import { forgetAnswers } from "#kit/idempotency/forget.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { forgetSagas } from "#kit/saga/forget.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";

/** Often enough that one round has little to do. */
const everyMs = 10_000;

/** Lets go of what the chassis need no longer remember, until the signal aborts. Never rejects. */
export async function keepRetention(
  { db, log }: { readonly db: Database; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const forget of [forgetAnswers, forgetSagas]) {
      await forget(db, signal).catch((error: unknown) => log.debug({ err: error }, "old rows stay"));
    }
    await delay(everyMs, signal).catch(() => {});
  }
}
