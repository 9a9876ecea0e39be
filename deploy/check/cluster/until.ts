import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 500;

/** Asks again and again until the answer is not undefined; rejects with what it waited for when the time is over. */
export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const endsAt = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > endsAt) throw new Error(`waited ${withinMs / 1000} s for ${what}`);
    await delay(POLL_MS);
  }
}
