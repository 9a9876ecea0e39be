import { delay } from "#kit/time/time.ts";

/** After a page comparing rests this many times as long as the page took: it has a fifth of a core at most. */
const restFactor = 4;
const longestRestMs = 1_000;

/** Runs the pages of comparisons one at a time, with a rest after each. */
export type Pace = <T>(page: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/** For a run that somebody waits for. */
export const unpaced: Pace = (page) => page();

/**
 * Makes the pace of all regular runs of one process: they compare what rests, beside those who buy. Each run gets its turn after
 * the others' pages. An aborted signal ends the rest.
 */
export function createPace(): Pace {
  let turn = Promise.resolve();
  return async (page, signal) => {
    const before = turn;
    const ours = Promise.withResolvers<void>();
    turn = ours.promise;
    await before;
    const startedAt = performance.now();
    try {
      return await page();
    } finally {
      const restMs = Math.min((performance.now() - startedAt) * restFactor, longestRestMs);
      void delay(restMs, signal).then(ours.resolve, ours.resolve);
    }
  };
}
