import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../check.ts";
import { callsAnswered } from "../cluster/answered.ts";
import { startLoad } from "../cluster/caller.ts";
import { anybody, readCalls } from "../cluster/requests.ts";
import { podsOf, scale } from "../cluster/shop.ts";

const SERVICE = "orders";
const PODS = 4;
const EVEN_WITHIN_MS = 30_000;
const WINDOW_MS = 8_000;
const CALLS_PER_SECOND = 80;
const TOLERANCE = 0.05;

/** New pods get their share of the calls soon after they are there, though callers keep their connections. */
export const spread: Check = {
  name: "spread",
  async run(_, report) {
    const load = startLoad("deploy/debug", {
      calls: [readCalls[SERVICE]],
      token: anybody,
      ratePerSecond: CALLS_PER_SECOND,
      timeoutMs: 300_000,
    });
    try {
      await scale(SERVICE, PODS);
      const startedAt = performance.now();
      let shares: readonly number[] = [];
      while (performance.now() - startedAt < EVEN_WITHIN_MS) {
        shares = await sharesWithin(WINDOW_MS);
        if (isEven(shares)) break;
      }
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      const percents = shares.map((share) => `${(share * 100).toFixed(1)} %`).join(", ");
      report.expect(
        isEven(shares),
        `${SERVICE} from 1 to ${PODS} pods: each has 25 % ± 5 of the calls within 30 s`,
        `${percents} after ${seconds} s`,
      );
    } finally {
      await load.stop();
      await scale(SERVICE, 1);
    }
  },
};

/** Whether every pod's share is its fair one, by the tolerance. */
export const isEven = (shares: readonly number[]): boolean =>
  shares.length === PODS && shares.every((share) => Math.abs(share - 1 / PODS) <= TOLERANCE);

/** Each pod's share of the calls that were answered in a while from now. */
async function sharesWithin(windowMs: number): Promise<number[]> {
  const names = (await podsOf(SERVICE)).map(({ metadata }) => metadata.name);
  const before = await Promise.all(names.map((name) => callsAnswered(name, readCalls[SERVICE])));
  await delay(windowMs);
  const after = await Promise.all(names.map((name) => callsAnswered(name, readCalls[SERVICE])));
  const answered = after.map((count, index) => count - (before[index] ?? 0));
  const all = answered.reduce((sum, count) => sum + count, 0);
  return answered.map((count) => count / Math.max(all, 1));
}
