// One run: load and faults side by side, healing, rest, judgement; then a restart of everything, and judgement again.

import { join } from "node:path";
import type { Access } from "./evidence/access.ts";
import { gatherEvidence, readAllStreams } from "./evidence/gather.ts";
import { findAilments } from "./evidence/logs.ts";
import { type Rest, timeSagas, waitForRest } from "./evidence/rest.ts";
import { readOrders, readStock } from "./evidence/tables.ts";
import type { Scene } from "./faults/act.ts";
import { type Execution, executeFaults } from "./faults/execute.ts";
import type { PlannedFault } from "./faults/fault.ts";
import type { Incident } from "./faults/incident.ts";
import type { Evidence, StockSample } from "./invariants/evidence.ts";
import { judge, type Verdict } from "./invariants/invariants.ts";
import { pause } from "./pause.ts";
import { type ChaosShop, untilServing } from "./shop/shop.ts";
import { type Standstill, watchStandstills } from "./standstills.ts";
import { type Load, startLoad } from "./workload/buyers.ts";
import { openHistory, readHistory } from "./workload/history.ts";
import type { Regrets } from "./workload/intention.ts";
import type { Goods } from "./workload/purchase.ts";
import { stockShop } from "./workload/stock-shop.ts";

/** What a run consists of. */
export interface RunPlan {
  readonly seed: number;
  readonly durationMs: number;
  readonly ordersPerSecond: number;
  readonly regrets: Regrets;
  readonly faults: readonly PlannedFault[];
  /** How long a fault that is under way when the load ends may go on. */
  readonly faultsEndWithinMs: number;
  readonly restWithinMs: number;
  /** Where the history goes, and whatever a failed run leaves. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** What a run found. */
export interface RunOutcome {
  readonly verdicts: readonly Verdict[];
  /** The same questions after everything was started again; undefined where the shop is somebody else's. */
  readonly verdictsAfterRestart: readonly Verdict[] | undefined;
  readonly incidents: readonly Incident[];
  /** Faults the harness failed to make, and other failures of its own. */
  readonly failures: readonly string[];
  readonly outcomes: Load["outcomes"];
  /** For each saga under way when everything was healed: how long until it had ended. */
  readonly sagasTookMs: readonly number[];
  readonly rest: Rest;
  /** When not even the harness ran; measured from the beginning of the load. */
  readonly standstills: readonly Standstill[];
  readonly evidence: Evidence;
  readonly goods: readonly Goods[];
}

const sampleEveryMs = 500;

/** Runs against a shop; without one of its own (`shop` undefined) there are no faults and no restart. */
export async function runOnce(
  plan: RunPlan,
  access: Access,
  shop: ChaosShop | undefined,
): Promise<RunOutcome> {
  const { seed, durationMs, ordersPerSecond, regrets, say } = plan;
  const earlier = await readOrders(access);
  const earlierEvents = await readAllStreams(access);
  const orders = (ordersPerSecond * durationMs) / 1_000;
  const run = Date.now().toString(36);
  const goods = await stockShop({ ...access, orders, run });
  const historyPath = join(plan.folder, "history.jsonl");
  const history = await openHistory(historyPath);
  const startedAtMs = performance.now();
  const standstills = watchStandstills();
  const { awakeMs } = standstills;
  say(`load and faults for ${Math.round(durationMs / 1_000)} s`);
  const load = startLoad({
    ...{ ...access, seed, ordersPerSecond, regrets, durationMs, goods, history, startedAtMs },
  });
  const sampling = new AbortController();
  const samples = sampleStock(access, goods, startedAtMs, sampling.signal);
  const execution = shop && (await breakAndHeal(plan, { shop, sku: goods[0]?.sku ?? "" }, startedAtMs, load));
  await load.ended;
  say("healed; waiting for rest");
  const [unknown, sagasTookMs] = await Promise.all([
    load.settle(plan.restWithinMs / 2),
    timeSagas(access, plan.restWithinMs, awakeMs),
  ]);
  const rest = await waitForRest(access, plan.restWithinMs, awakeMs);
  sampling.abort();
  const own = {
    pieces: new Map(goods.map(({ sku, pieces }) => [sku, pieces])),
    stockSamples: await samples,
    earlierOrders: new Set(earlier.orders.map(({ orderId }) => orderId)),
    earlierEvents: new Set(earlierEvents.map(({ eventId }) => eventId)),
  };
  await history.close();
  const look = async (restless: readonly string[]) =>
    await gatherEvidence(access, {
      ...own,
      history: readHistory(historyPath),
      restless: [...restless, ...(unknown > 0 ? [`${unknown} clients never got an answer`] : [])],
      ailments: shop ? ailmentsOf(shop) : [],
    });
  const evidence = await look(rest.restless);
  const verdicts = judge(evidence);
  const { incidents = [], failures = [] } = execution ?? {};
  const found = {
    incidents,
    failures,
    outcomes: load.outcomes,
    sagasTookMs,
    rest,
    standstills: standstills.times,
  };
  const common = { verdicts, ...found, evidence, goods };
  if (!shop || isBroken(verdicts)) return { ...common, verdictsAfterRestart: undefined };
  say("starting everything again");
  await shop.restartAll();
  const again = await waitForRest(access, plan.restWithinMs, awakeMs);
  return { ...common, verdictsAfterRestart: judge(await look(again.restless)) };
}

/** Whether any invariant broke. */
export const isBroken = (verdicts: readonly Verdict[]): boolean =>
  verdicts.some(({ violations }) => violations.length > 0);

/** Carries the faults out while the load is on, and leaves a shop in which everything runs. */
async function breakAndHeal(
  { faults, faultsEndWithinMs }: RunPlan,
  { shop, sku }: Omit<Scene, "signal">,
  startedAtMs: number,
  load: Load,
): Promise<Execution> {
  const stopping = new AbortController();
  const execution = executeFaults({ shop, sku, signal: stopping.signal }, faults, startedAtMs);
  await load.ended;
  await Promise.race([execution.ended, pause(faultsEndWithinMs)]);
  stopping.abort();
  await execution.ended;
  for (const link of shop.links.values()) link.trouble(undefined);
  await Promise.all([...shop.replicas.values()].map((one) => untilServing(one, -1)));
  return execution;
}

async function sampleStock(
  access: Access,
  goods: readonly Goods[],
  startedAtMs: number,
  signal: AbortSignal,
) {
  const skus = new Set(goods.map(({ sku }) => sku));
  const samples: StockSample[] = [];
  while (!signal.aborted) {
    const rows = await readStock(access).catch(() => []);
    const atMs = Math.round(performance.now() - startedAtMs);
    // Of thousands of counts only those that break the rule, or the last, are worth keeping.
    for (const row of rows)
      if (skus.has(row.sku) && (row.reserved < 0 || row.reserved > row.onHand))
        samples.push({ ...row, atMs });
    await pause(sampleEveryMs, signal);
  }
  return samples;
}

const ailmentsOf = ({ folder, surprises }: ChaosShop) => [
  ...surprises.map(({ name, how }) => `${name} ended by itself with ${how}`),
  ...findAilments(folder),
];
