import { setTimeout as delay } from "node:timers/promises";
import type { Policy } from "../../canary/policy.ts";
import type { Check, Report, Setting } from "../check.ts";
import { underLoad } from "../cluster/caller.ts";
import {
  abortCanary,
  clearCanary,
  goodImage,
  killCanaryPods,
  rolloutOf,
  sharePlanned,
  stableImage,
  startCanary,
  untilCanaryReady,
  untilShare,
} from "../cluster/canaries.ts";
import type { LoadReport } from "../cluster/probe.ts";
import { anybody, readCalls } from "../cluster/requests.ts";
import { until } from "../cluster/until.ts";
import { inWords, isFlawless } from "./rolling-restart.ts";

const SERVICE = "catalog";
const load = { calls: [readCalls[SERVICE]], token: anybody, ratePerSecond: 60, timeoutMs: 600_000 };
const SEEN_MS = 5_000;
const UNREADY_COSTS_MS = 5_000;
const CALLS_TAKEN_WITHIN_MS = 60_000;

const policy: Partial<Policy> = {
  warmupS: 3,
  windowS: 8,
  minCalls: 20,
  longestWindowS: 60,
  settleS: 10,
  readyS: 120,
};
const half: Policy["steps"] = [{ weight: 50, forS: 30 }];

/** However a canary ends, it ends where it should, and callers notice nothing of it. */
export const canaryEnds: Check = {
  name: "canary-ends",
  async run(setting, report) {
    for (const attempt of [blueGreen, byHand, unready, toolKilled])
      try {
        await attempt(report, setting);
      } finally {
        await clearCanary(setting, SERVICE);
      }
  },
};

async function blueGreen(report: Report, setting: Setting): Promise<void> {
  const image = await goodImage(setting, SERVICE);
  const steps = [{ weight: 100, forS: 15 }];
  const { code, text, seen } = await underLoad("deploy/debug", load, async (load) => {
    const ending = await startCanary({ service: SERVICE, image, policy: { ...policy, steps } }).ended;
    await delay(SEEN_MS);
    return { ...ending, seen: await load.stop() };
  });
  const isPromoted = code === 0 && (await stableImage(SERVICE)) === image;
  report.expect(
    isPromoted && isFlawless(seen),
    "blue-green: all calls at once, then promoted, and no call fails",
    isPromoted ? inWords(seen) : `${text}; ${inWords(seen)}`,
  );
}

async function byHand(report: Report, setting: Setting): Promise<void> {
  const before = await stableImage(SERVICE);
  const seen = await underLoad("deploy/debug", load, async (load) => {
    const image = await goodImage(setting, SERVICE);
    const run = startCanary({ service: SERVICE, image, policy: { ...policy, steps: half } });
    await untilShare(SERVICE, 50, run);
    await delay(SEEN_MS);
    await abortCanary(SERVICE, "tried by cluster:check");
    await run.ended;
    await delay(SEEN_MS);
    return await load.stop();
  });
  const { phase, reason } = await rolloutOf(SERVICE);
  const isBack = (await sharePlanned(SERVICE)) === 0 && (await stableImage(SERVICE)) === before;
  report.expect(
    phase === "aborted" && reason === "tried by cluster:check" && isBack && isFlawless(seen),
    "an operator's abort at 50 % ends it, and no call fails",
    `${phase}: ${reason}; ${inWords(seen)}`,
  );
}

/** Pods that die without a word, while the tool looks on. */
async function unready(report: Report, setting: Setting): Promise<void> {
  const { killedAtMs, seen, code } = await underLoad("deploy/debug", load, async (load) => {
    const image = await goodImage(setting, SERVICE);
    const run = startCanary({ service: SERVICE, image, policy: { ...policy, steps: half } });
    await untilShare(SERVICE, 50, run);
    await delay(SEEN_MS);
    const killedAtMs = Date.now();
    await killCanaryPods(SERVICE);
    await until("the calls to be taken away", CALLS_TAKEN_WITHIN_MS, async () =>
      (await sharePlanned(SERVICE)) === 0 ? true : undefined,
    );
    // Its next pod gets the calls back, and the rollout goes on.
    await untilShare(SERVICE, 50, run);
    const { code } = await run.ended;
    await delay(SEEN_MS);
    return { killedAtMs, seen: await load.stop(), code };
  });
  report.expect(
    code === 0 && costsLittle(seen, killedAtMs),
    "an unready canary costs no failed call after 5 s, and is promoted once it is ready again",
    `${lastFailure(seen, killedAtMs)}; ${inWords(seen)}`,
  );
}

/** The tool is killed, then the canary's pods: nobody but the watchdog in the cluster looks on. */
async function toolKilled(report: Report, setting: Setting): Promise<void> {
  const image = await goodImage(setting, SERVICE);
  const plan = { service: SERVICE, image, policy: { ...policy, steps: half } };
  const { killedAtMs, seen, code, said, text } = await underLoad("deploy/debug", load, async (load) => {
    const run = startCanary(plan);
    await untilShare(SERVICE, 50, run);
    await delay(SEEN_MS);
    run.kill();
    await run.ended;
    const killedAtMs = Date.now();
    await killCanaryPods(SERVICE);
    await until("the watchdog to take the calls away", CALLS_TAKEN_WITHIN_MS, async () =>
      (await sharePlanned(SERVICE)) === 0 ? true : undefined,
    );
    await untilCanaryReady(SERVICE);
    const ending = await goOn(plan);
    await delay(SEEN_MS);
    return { ...ending, killedAtMs, seen: await load.stop() };
  });
  report.expect(
    costsLittle(seen, killedAtMs),
    "with the tool killed, the watchdog in the cluster sees to it: no failed call after 5 s",
    `${lastFailure(seen, killedAtMs)}; ${inWords(seen)}`,
  );
  const isPromoted = code === 0 && (await stableImage(SERVICE)) === image;
  report.expect(
    isPromoted && said.includes("taken over"),
    "started again, the tool goes on, and promotes",
    isPromoted ? "taken over, and promoted" : text,
  );
}

const TAKEN_OVER_WITHIN_MS = 40_000;

/** Another run is refused as long as the first one might live. */
async function goOn(plan: Parameters<typeof startCanary>[0]) {
  return await until("the rollout to be taken over", TAKEN_OVER_WITHIN_MS, async () => {
    const ending = await startCanary(plan).ended;
    return ending.said.includes("drives the canary") ? undefined : ending;
  });
}

/** Whether what fell into the first seconds is all that failed. */
const costsLittle = ({ sent, lastFailedAtMs }: LoadReport, sinceMs: number): boolean =>
  sent > 100 && lastFailedAtMs < sinceMs + UNREADY_COSTS_MS;

const lastFailure = ({ lastFailedAtMs }: LoadReport, sinceMs: number): string =>
  lastFailedAtMs === 0
    ? "no call failed"
    : `the last failed call was sent ${((lastFailedAtMs - sinceMs) / 1_000).toFixed(1)} s after its pods died`;
