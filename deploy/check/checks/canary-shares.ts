import { setTimeout as delay } from "node:timers/promises";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import type { Check, Report } from "../check.ts";
import { callsAnswered } from "../cluster/answered.ts";
import { startLoad, underLoad } from "../cluster/caller.ts";
import {
  type CanaryRun,
  clearCanary,
  goodImage,
  sharePlanned,
  stableImage,
  startCanary,
  tracked,
  untilShare,
} from "../cluster/canaries.ts";
import { anybody, grpcCall, readCalls } from "../cluster/requests.ts";
import { inWords, isFlawless } from "./rolling-restart.ts";

const SERVICE = "catalog";
/** Points by which the measured share may differ from the weight. */
const TOLERANCES = new Map([
  [5, 1.5],
  [25, 2.5],
  [50, 3],
]);
const CALLS_PER_SECOND = 90;
const MEASURED_MS = 34_000;
const MIN_CALLS = 2_000;
/** Longer than what is done at each weight: two looks at the counters, and the calls between them. */
const STEP_S = 75;
/** Until callers' proxies know the weight. */
const KNOWN_AFTER_MS = 2_000;
const AFTER_MS = 8_000;

/** What the tool judges by meanwhile: calls of another method, so that those that are counted begin and end when they are told to. */
const beside = grpcCall(SERVICE, CatalogService.method.listCategories, {});
const policy = { windowS: 10, warmupS: 3, minCalls: 10, longestWindowS: 60, settleS: 10 };

/** A canary has the share of the calls that its route says, and at the end all of them. */
export const canaryShares: Check = {
  name: "canary-shares",
  async run(setting, report) {
    const load = { calls: [beside], token: anybody, ratePerSecond: 20, timeoutMs: 600_000 };
    try {
      await underLoad("deploy/debug", load, async (load) => {
        const steps = Array.from(TOLERANCES.keys(), (weight) => ({ weight, forS: STEP_S }));
        const image = await goodImage(setting, SERVICE);
        const run = startCanary({ service: SERVICE, image, policy: { ...policy, steps } });
        for (const [weight, tolerance] of TOLERANCES) await measure(report, run, { weight, tolerance });
        const { code, text } = await run.ended;
        await delay(AFTER_MS);
        const seen = await load.stop();
        const isPromoted = code === 0 && (await stableImage(SERVICE)) === image;
        const words = isPromoted ? inWords(seen) : `${text}; ${inWords(seen)}`;
        report.expect(isPromoted && isFlawless(seen), "a good canary is promoted, and no call fails", words);
      });
    } finally {
      await clearCanary(setting, SERVICE);
    }
  },
};

async function measure(
  report: Report,
  run: CanaryRun,
  { weight, tolerance }: { weight: number; tolerance: number },
) {
  await untilShare(SERVICE, weight, run);
  await delay(KNOWN_AFTER_MS);
  const before = await answeredByTrack();
  const load = startLoad("deploy/debug", {
    calls: [readCalls[SERVICE]],
    token: anybody,
    ratePerSecond: CALLS_PER_SECOND,
    timeoutMs: 120_000,
  });
  await delay(MEASURED_MS);
  const { sent, failed } = await load.stop();
  const after = await answeredByTrack();
  const isStillSo = (await sharePlanned(SERVICE)) === weight;
  const [stable, canary] = [after.stable - before.stable, after.canary - before.canary];
  const share = (100 * canary) / Math.max(1, stable + canary);
  const isClose = Math.abs(share - weight) <= tolerance;
  report.expect(
    isStillSo && isClose && failed === 0 && stable + canary >= MIN_CALLS,
    `at a weight of ${weight} the canary has ${weight} % ± ${tolerance} of the calls`,
    `${share.toFixed(2)} %: ${canary} of ${stable + canary} (${sent} sent, ${failed} errors)${isStillSo ? "" : "; the weight changed meanwhile"}`,
  );
}

async function answeredByTrack(): Promise<{ stable: number; canary: number }> {
  const count = async (track: "stable" | "canary") => {
    const found = await tracked(SERVICE, track);
    const counts = await Promise.all(
      found.map(({ metadata }) => callsAnswered(metadata.name, readCalls[SERVICE])),
    );
    return counts.reduce((sum, one) => sum + one, 0);
  };
  return { stable: await count("stable"), canary: await count("canary") };
}
