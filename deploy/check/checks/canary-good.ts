import type { Check } from "../check.ts";
import { underLoad } from "../cluster/caller.ts";
import { clearCanary, goodImage, rolloutOf, startCanary } from "../cluster/canaries.ts";
import { anybody, readCalls } from "../cluster/requests.ts";
import { inWords, isFlawless } from "./rolling-restart.ts";

const SERVICE = "catalog";
const CALLS_PER_SECOND = 60;
const ONE_WITHIN_MS = 240_000;
/** Of twenty. */
const ABORTED_AT_MOST = 1;

/** Judged as the default policy judges, in shorter steps. */
const policy = {
  steps: [
    { weight: 5, forS: 8 },
    { weight: 25, forS: 8 },
    { weight: 50, forS: 8 },
  ],
  warmupS: 3,
  windowS: 8,
  minCalls: 20,
  longestWindowS: 60,
  settleS: 2,
};

/** Releases with nothing wrong about them are promoted, one after the other, on a node with noise of its own. */
export const canaryGood: Check = {
  name: "canary-good",
  async run(setting, report) {
    const aborted: string[] = [];
    const load = {
      calls: [readCalls[SERVICE]],
      token: anybody,
      ratePerSecond: CALLS_PER_SECOND,
      timeoutMs: setting.goodCanaries * ONE_WITHIN_MS,
    };
    try {
      const seen = await underLoad("deploy/debug", load, async (load) => {
        for (let canary = 0; canary < setting.goodCanaries; canary += 1) {
          const { code } = await startCanary({
            service: SERVICE,
            image: await goodImage(setting, SERVICE),
            policy,
          }).ended;
          if (code !== 0) aborted.push((await rolloutOf(SERVICE)).reason);
        }
        return await load.stop();
      });
      const wrong = aborted.length === 0 ? "" : `: ${aborted.join("; ")}`;
      report.expect(
        aborted.length <= ABORTED_AT_MOST && isFlawless(seen),
        `of ${setting.goodCanaries} good canaries at most ${ABORTED_AT_MOST} is aborted, and no call fails`,
        `${aborted.length} were aborted${wrong}; ${inWords(seen)}`,
      );
    } finally {
      await clearCanary(setting, SERVICE);
    }
  },
};
