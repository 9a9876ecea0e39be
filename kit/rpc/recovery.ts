/**
 * Tells those who wait for an ill callee when to try again, so that nobody sits out a long backoff after it is well.
 *
 * While a callee only fails, one of those who wait is sent ahead every so often; its first success wakes all of them. A callee
 * that fails now and then wakes nobody: its callers keep to their backoff.
 */

/** One callee's health, and who waits for it. */
export interface Recovery {
  /** A call has shown that the callee is ill. */
  failed(): void;
  /** A call was answered. */
  succeeded(): void;
  /** Makes an error lead here. */
  mark(error: object): void;
}

interface Waiting {
  wait(wake: () => void): () => void;
}

const ailments = new WeakMap<object, Waiting>();

/**
 * Calls `wake` once, when the callee that the error came from is well again or should be tried. Does nothing for an error that
 * came from no callee. The function returned stops waiting.
 */
export function onRecovery(error: unknown, wake: () => void): () => void {
  const ailment = typeof error === "object" && error !== null ? ailments.get(error) : undefined;
  return ailment ? ailment.wait(wake) : () => {};
}

/** Makes the recovery of one callee; after `probeEveryMs` of nothing but failures it counts as away. */
export function createRecovery(probeEveryMs: number): Recovery {
  const waiting = new Set<() => void>();
  let illSinceMs: number | undefined;
  let returns = 0;
  let probing: NodeJS.Timeout | undefined;
  const isAway = () => illSinceMs !== undefined && performance.now() - illSinceMs >= probeEveryMs;
  const rest = () => {
    if (waiting.size > 0) return;
    clearInterval(probing);
    probing = undefined;
  };
  const wakeOne = () => {
    const [first] = waiting;
    if (first && isAway()) {
      waiting.delete(first);
      first();
    }
    rest();
  };
  const wait = (wake: () => void) => {
    waiting.add(wake);
    probing ??= setInterval(wakeOne, probeEveryMs).unref();
    return () => {
      waiting.delete(wake);
      rest();
    };
  };
  return {
    failed() {
      illSinceMs ??= performance.now();
    },
    succeeded() {
      const wasAway = isAway();
      illSinceMs = undefined;
      if (!wasAway) return;
      returns += 1;
      const woken = [...waiting];
      waiting.clear();
      rest();
      for (const wake of woken) wake();
    },
    mark(error) {
      const before = returns;
      // Between a failure and the wait for it a caller writes it down; the callee's return may fall between the two.
      const sinceThen = (wake: () => void) => {
        if (returns === before) return wait(wake);
        wake();
        return () => {};
      };
      ailments.set(error, { wait: sinceThen });
    },
  };
}
