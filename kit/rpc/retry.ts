import { Code } from "#gen/google/rpc/code_pb.ts";
import { Retry } from "#gen/souk/options/v1/options_pb.ts";
import { ServiceError } from "#kit/errors/errors.ts";
import { backoffMs, type Deadline, delay } from "#kit/time/time.ts";

import type { RpcMethod } from "./method.ts";
import { isExhausted, markExhausted } from "./retry-marks.ts";

/** More than two repeats of a call that fails at once only add load to a callee that has too much. */
const maxRetries = 2;

/** Keeps repeats below a tenth of all calls, so that an ill callee is not finished off by its callers. */
export interface RetryBudget {
  /** A call was made. */
  earn(): void;
  /** Takes the price of a repeat; false where there is nothing left. */
  spend(): boolean;
}

/** A budget that starts with room for ten repeats and holds no more. */
export function createRetryBudget(): RetryBudget {
  let credit = 10;
  return {
    earn() {
      credit = Math.min(10, credit + 0.1);
    },
    spend() {
      if (credit < 1) return false;
      credit--;
      return true;
    },
  };
}

/** How often a method may be repeated: freely where it is safe, with a key only when asked, else never. */
export function retriesOf(method: RpcMethod, asked: number | undefined): number {
  switch (method.policy.retry) {
    case Retry.SAFE:
      return Math.min(asked ?? maxRetries, maxRetries);
    case Retry.WITH_KEY:
      return Math.min(asked ?? 0, maxRetries);
    default:
      return 0;
  }
}

/** What a repeat needs to know. */
export interface RetryTerms {
  readonly retries: number;
  readonly budget: RetryBudget;
  readonly deadline: Deadline;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs `attempt`, and again after UNAVAILABLE, with full jitter between, as long as terms and budget allow. An error that
 * was repeated in vain is marked, and the server this runs in tells its own caller not to repeat it.
 */
export async function withRetries<T>(attempt: () => Promise<T>, terms: RetryTerms): Promise<T> {
  terms.budget.earn();
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      await waitForNext(error, failures, terms);
    }
  }
}

// Throws the error where there is no next time.
async function waitForNext(error: ServiceError, failures: number, terms: RetryTerms): Promise<void> {
  if (terms.retries === 0 || isExhausted(error)) throw error;
  const waitMs = backoffMs(failures, { baseMs: 50, maxMs: 1_000 });
  if (failures > terms.retries || waitMs >= terms.deadline.remainingMs() || !terms.budget.spend()) {
    markExhausted(error);
    throw error;
  }
  await delay(waitMs, terms.signal).catch(() => {
    throw error;
  });
}

function isUnavailable(error: unknown): error is ServiceError {
  return error instanceof ServiceError && error.code === Code.UNAVAILABLE;
}
