import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../check.ts";
import { type Load, startLoad } from "../cluster/caller.ts";
import { kubectl } from "../cluster/kubectl.ts";
import { SERVICES, SHOP } from "../cluster/namespaces.ts";
import type { LoadReport } from "../cluster/probe.ts";
import { anybody, orderCall, readCalls } from "../cluster/requests.ts";
import { untilRolledOut } from "../cluster/shop.ts";
import { pickProduct } from "./order-confirmed.ts";

const ROLLED_OUT_WITHIN_MS = 180_000;
const CALLS_PER_SECOND = 30;
const CALLS_PER_ORDER = 15;
const BEFORE_MS = 2_000;
/** The old pod drains after the rollout has ended. */
const AFTER_MS = 12_000;

/** Every service is replaced pod by pod while it is called, by callers who never repeat a call. */
export const rollingRestart: Check = {
  name: "rolling-restart",
  async run(_, report) {
    for (const service of SERVICES) {
      const load = await startMixedLoad(service);
      await delay(BEFORE_MS);
      await kubectl(["--namespace", SHOP, "rollout", "restart", `deployment/${service}`]);
      await untilRolledOut(service, ROLLED_OUT_WITHIN_MS);
      await delay(AFTER_MS);
      const seen = await load.stop();
      report.expect(isFlawless(seen), `${service} restarts under load without an error`, inWords(seen));
    }
  },
};

/** Calls of one service, directly, and now and then an order through the edge. */
export async function startMixedLoad(service: (typeof SERVICES)[number]): Promise<Load> {
  const reads = Array.from({ length: CALLS_PER_ORDER }, () => readCalls[service]);
  const calls = [...reads, orderCall(await pickProduct())];
  return startLoad("deploy/debug", {
    calls,
    token: anybody,
    ratePerSecond: CALLS_PER_SECOND,
    timeoutMs: 2 * ROLLED_OUT_WITHIN_MS,
  });
}

/** Whether there was a load, and nothing of it failed. */
export const isFlawless = ({ sent, failed }: LoadReport): boolean => sent > 100 && failed === 0;

/** A load's report in a line. */
export function inWords({ sent, failed, failures, slowestMs }: LoadReport): string {
  const some = failures
    .slice(0, 3)
    .map(({ target, status, text, atMs }) => `${target} ${status} ${text} at ${atMs} ms`);
  return [`${sent} calls, ${failed} errors, slowest ${slowestMs} ms`, ...some].join("; ");
}
