import { setTimeout as delay } from "node:timers/promises";
import type { Check, Report, Setting } from "../check.ts";
import { callsAnswered } from "../cluster/answered.ts";
import { underLoad } from "../cluster/caller.ts";
import {
  clearCanary,
  releasedImage,
  rolloutOf,
  sharePlanned,
  stableImage,
  startCanary,
  tracked,
} from "../cluster/canaries.ts";
import { anybody, readCalls } from "../cluster/requests.ts";

const SERVICE = "catalog";
const CALLS_PER_SECOND = 90;
const ABORTED_WITHIN_S = 30;
const TOUCHED_AT_MOST = 0.06;
const AFTER_MS = 3_000;

/** As the default policy, but for the lengths of its windows: a customer's shop has more calls than this node. */
const policy = { steps: [{ weight: 5, forS: 300 }], windowS: 10, minCalls: 40, silenceS: 120 };

/** Two releases that nobody wants (deploy/check/builds), and what is said of each. */
const BAD = [
  { build: "fails", claim: "a build that answers INTERNAL to 20 %" },
  { build: "slow", claim: "a build that is slow" },
];

/** A bad release is taken back without anybody's doing, before many calls have met it. */
export const canaryFaults: Check = {
  name: "canary-faults",
  async run(setting, report) {
    for (const bad of BAD)
      try {
        await tryBad(setting, report, bad);
      } finally {
        await clearCanary(setting, SERVICE);
      }
  },
};

async function tryBad(setting: Setting, report: Report, { build, claim }: (typeof BAD)[number]) {
  const released = releasedImage(setting, SERVICE);
  const load = {
    calls: [readCalls[SERVICE]],
    token: anybody,
    ratePerSecond: CALLS_PER_SECOND,
    timeoutMs: 600_000,
  };
  const { text, sent } = await underLoad("deploy/debug", load, async (load) => {
    const ending = await startCanary({ service: SERVICE, image: `${released}-${build}`, policy }).ended;
    await delay(AFTER_MS);
    return { ...ending, ...(await load.stop()) };
  });
  const { phase, reason, phaseSinceMs, windows } = await rolloutOf(SERVICE);
  const first = windows.find(({ verdict }) => verdict !== "silent");
  const afterS = first ? (phaseSinceMs - first.atMs) / 1_000 : Number.POSITIVE_INFINITY;
  const touched = await answeredByCanary();
  const isBack = (await sharePlanned(SERVICE)) === 0 && (await stableImage(SERVICE)) === released;
  const isJudged = phase === "aborted" && afterS < ABORTED_WITHIN_S && isBack;
  report.expect(
    isJudged && touched > 0 && touched <= TOUCHED_AT_MOST * sent,
    `${claim} is aborted in less than ${ABORTED_WITHIN_S} s after the first window, and at most ${100 * TOUCHED_AT_MOST} % of all calls met it`,
    first
      ? `${phase} ${afterS.toFixed(1)} s after it; ${touched} of ${sent} calls, ${((100 * touched) / sent).toFixed(1)} %; ${reason}`
      : `${phase}: ${text}`,
  );
}

/** The pods of an aborted canary stay for who looks for the reason, so they can be asked. */
async function answeredByCanary(): Promise<number> {
  const found = await tracked(SERVICE, "canary");
  const counts = await Promise.all(
    found.map(({ metadata }) => callsAnswered(metadata.name, readCalls[SERVICE])),
  );
  return counts.reduce((sum, one) => sum + one, 0);
}
