// Windows of calls: what both tracks answered between two looks at their metrics.

import { type Cluster, podsOf } from "./cluster.ts";
import { addCounts, answeredBetween, type Counts, callsOf, readCounts } from "./counts.ts";
import type { Observation, Rollout } from "./course.ts";
import { judge } from "./judgement.ts";
import type { Scrape } from "./scrape.ts";
import { type PodFacts, podFacts } from "./workload.ts";

/** The windows of one run. */
export interface Windows {
  /** The window that has just ended, if one has. Begins anew whenever the calls are shared otherwise than the step says. */
  next(rollout: Rollout, seen: Observation): Promise<Observation["window"]>;
}

/** One look at all pods. */
interface Look {
  readonly atMs: number;
  readonly pods: ReadonlyMap<string, { readonly facts: PodFacts; readonly counts: Counts }>;
}

interface Opened {
  readonly step: number;
  readonly phase: string;
  readonly sinceMs: number;
  first?: Look;
  looksAtMs: number;
}

/** Makes the windows of a run. Without a way to metrics there are none. */
export function createWindows(cluster: Cluster, service: string, scrape: Scrape | undefined): Windows {
  let opened: Opened | undefined;
  return {
    async next(rollout, { nowMs }) {
      const { policy, phase, step, stepSinceMs } = rollout;
      const sinceMs =
        phase === "measuring" ? rollout.phaseSinceMs : phase === "shifting" ? stepSinceMs : undefined;
      if (!scrape || sinceMs === undefined) {
        opened = undefined;
        return undefined;
      }
      if (opened?.step !== step || opened.phase !== phase || opened.sinceMs !== sinceMs)
        opened = { step, phase, sinceMs, looksAtMs: sinceMs + policy.warmupS * 1_000 };
      if (nowMs < opened.looksAtMs) return undefined;
      const look = await lookAtPods(cluster, service, scrape);
      if (!opened.first) {
        opened.first = look;
        opened.looksAtMs = look.atMs + policy.windowS * 1_000;
        return undefined;
      }
      return close(opened, look, rollout);
    },
  };
}

function close(opened: Opened, look: Look, { policy, baseline, phase }: Rollout): Observation["window"] {
  const first = opened.first ?? look;
  const answered = { canary: between(first, look, "canary"), stable: between(first, look, "stable") };
  const compared = callsOf(answered.stable) < policy.minCalls && baseline ? baseline : answered.stable;
  const judgement = judge({ canary: answered.canary, stable: compared }, policy);
  const isShort = look.atMs - first.atMs < policy.longestWindowS * 1_000;
  const lacks =
    phase === "measuring" ? judgement.stableCalls < policy.minCalls : judgement.verdict === "silent";
  if (lacks && isShort) {
    opened.looksAtMs = look.atMs + Math.min(5, policy.windowS) * 1_000;
    return undefined;
  }
  opened.first = look;
  opened.looksAtMs = look.atMs + policy.windowS * 1_000;
  return { judgement, stable: answered.stable };
}

/** What the pods of a track answered between two looks; a pod that was not seen then counts if it was made since. */
function between(before: Look, after: Look, track: PodFacts["track"]): Counts {
  let sum: Counts = {};
  for (const [name, { facts, counts }] of after.pods) {
    const earlier = before.pods.get(name);
    if (facts.track !== track || (!earlier && facts.createdAtMs < before.atMs)) continue;
    sum = addCounts(sum, answeredBetween(earlier?.counts, counts));
  }
  return sum;
}

async function lookAtPods(cluster: Cluster, service: string, scrape: Scrape): Promise<Look> {
  const pods = (await podsOf(cluster, service)).map(podFacts).filter(({ ready }) => ready);
  const atMs = Date.now();
  const looks = await Promise.all(
    pods.map(async (facts) => {
      // A pod that cannot be asked is left out of this window, of both its ends.
      const text = await scrape(cluster.namespace, facts.name).catch(() => undefined);
      return text === undefined ? [] : [[facts.name, { facts, counts: readCounts(text) }] as const];
    }),
  );
  return { atMs, pods: new Map(looks.flat()) };
}
