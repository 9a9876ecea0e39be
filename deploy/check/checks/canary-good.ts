import type { Check, Setting } from "../check.ts";
import { underLoad } from "../cluster/caller.ts";
import { clearCanary, goodImage, startCanary } from "../cluster/canaries.ts";
import type { LoadReport } from "../cluster/probe.ts";
import { anybody, readCalls } from "../cluster/requests.ts";
import { inWords } from "./rolling-restart.ts";

const SERVICE = "catalog";
const CALLS_PER_SECOND = 60;
const ONE_WITHIN_MS = 600_000;
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
  // Until the slowest proxy of a busy node has heard of the weight of 0.
  settleS: 10,
};

/** Releases with nothing wrong about them are promoted, one after the other, on a node with noise of its own. */
export const canaryGood: Check = {
  name: "canary-good",
  async run(setting, report) {
    const aborted: string[] = [];
    const errors: string[] = [];
    let sent = 0;
    try {
      for (let canary = 0; canary < setting.goodCanaries; canary += 1) {
        const { seen, reason } = await releaseOne(setting);
        if (reason !== undefined) aborted.push(reason);
        if (seen.failed > 0) errors.push(`beside the ${canary + 1}th: ${inWords(seen)}`);
        sent += seen.sent;
      }
    } finally {
      await clearCanary(setting, SERVICE);
    }
    report.expect(
      aborted.length <= ABORTED_AT_MOST && sent > 0 && errors.length === 0,
      `of ${setting.goodCanaries} good canaries at most ${ABORTED_AT_MOST} is aborted, and no call fails`,
      [
        `${aborted.length} were aborted`,
        ...aborted,
        `${sent} calls, ${errors.length === 0 ? "no" : "some"} errors`,
        ...errors,
      ].join("; "),
    );
  },
};

/** Under a load of its own, since no caller's token outlasts them all. */
async function releaseOne(setting: Setting): Promise<{ seen: LoadReport; reason: string | undefined }> {
  const image = await goodImage(setting, SERVICE);
  const load = {
    calls: [readCalls[SERVICE]],
    token: anybody,
    ratePerSecond: CALLS_PER_SECOND,
    timeoutMs: ONE_WITHIN_MS,
  };
  return await underLoad("deploy/debug", load, async (load) => {
    const { code, said } = await startCanary({ service: SERVICE, image, policy }).ended;
    const reason = code === 0 ? undefined : said.trim().split("\n").at(-1);
    return { seen: await load.stop(), reason };
  });
}
