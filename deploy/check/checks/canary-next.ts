import { setTimeout as delay } from "node:timers/promises";
import type { Check, Setting } from "../check.ts";
import { underLoad } from "../cluster/caller.ts";
import {
  abortCanary,
  clearCanary,
  releasedImage,
  rolloutOf,
  startCanary,
  untilShare,
} from "../cluster/canaries.ts";
import { select } from "../cluster/databases.ts";
import { anybody, orderCall } from "../cluster/requests.ts";
import { until } from "../cluster/until.ts";
import { pickProduct } from "./order-confirmed.ts";
import { inWords } from "./rolling-restart.ts";

const SERVICE = "orders";
const ORDERS_PER_SECOND = 5;
const AT_HALF_MS = 20_000;
const AFTER_MS = 10_000;
const ALL_ENDED_WITHIN_MS = 120_000;
const policy = { steps: [{ weight: 50, forS: 600 }], windowS: 10, minCalls: 20, longestWindowS: 60 };

/** A release with a step, an event and a column more (deploy/check/builds/orders-next.ts) is taken back while people buy. */
export const canaryNext: Check = {
  name: "canary-next",
  async run(setting, report) {
    try {
      const seen = await buyMeanwhile(setting);
      const { phase, reason } = await rolloutOf(SERVICE);
      const left = await until("every order to end", ALL_ENDED_WITHIN_MS, async () => {
        const count = await select(SERVICE, "select count(*) from order_views where status = 'pending'");
        return count === "0" ? count : undefined;
      }).catch(() => "some");
      const [noted = 0, confirmed = 0] = (
        await select(
          SERVICE,
          `select count(*), count(*) filter (where status = 'confirmed') from order_views where noted_by = 'next'
             and exists (select from order_events e where e.order_id = order_views.order_id and e.type = 'noted')`,
        )
      )
        .split("|")
        .map(Number);
      const open = await select(
        SERVICE,
        "select count(*) from kit.sagas where status not in ('completed', 'compensated')",
      );
      const dead = await select("inventory", "select count(*) from kit.dead_letters");
      report.expect(
        phase === "aborted" &&
          seen.failed === 0 &&
          left === "0" &&
          open === "0" &&
          noted > 0 &&
          confirmed === noted &&
          dead === "0",
        "a canary with a new saga step, event and column is aborted in the middle of load: every order ends",
        `${inWords(seen)}; ${noted} orders were the canary's, ${confirmed} of them are confirmed, ${left} orders are pending, ${open} sagas under way, ${dead} dead letters; ${phase}: ${reason}`,
      );
    } finally {
      await clearCanary(setting, SERVICE);
      await forgetNext();
    }
  },
};

/** Orders before the canary, beside it, while it is aborted, and after. */
async function buyMeanwhile(setting: Setting) {
  const load = {
    calls: [orderCall(await pickProduct())],
    token: anybody,
    ratePerSecond: ORDERS_PER_SECOND,
    timeoutMs: 600_000,
  };
  return await underLoad("deploy/debug", load, async (load) => {
    const image = `${releasedImage(setting, SERVICE)}-next`;
    const run = startCanary({ service: SERVICE, image, policy });
    await untilShare(SERVICE, 50, run);
    await delay(AT_HALF_MS);
    await abortCanary(SERVICE, "tried by cluster:check");
    await run.ended;
    await delay(AFTER_MS);
    return await load.stop();
  });
}

/** What the next release has added goes, so that the one after may come with migrations of its own. */
async function forgetNext(): Promise<void> {
  await select(SERVICE, "delete from public.migrations_service where name = '9000-next'");
  await select(SERVICE, "alter table order_views drop column if exists noted_by");
}
