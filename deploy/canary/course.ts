// The course of a rollout, decided from what is known of it: pure, so that a run that takes over decides as the one before.

import type { Counts } from "./counts.ts";
import type { Judgement } from "./judgement.ts";
import { type Policy, podsFor } from "./policy.ts";

/**
 * preparing: the route stands, pods come up. measuring: the stable pods alone, where no later window has them. shifting: the steps.
 * promoting: the stable pods become the canary's image. settling: no calls to the canary any more. promoted, aborted: ended.
 */
export type Phase =
  | "preparing"
  | "measuring"
  | "shifting"
  | "promoting"
  | "settling"
  | "promoted"
  | "aborted";

/** All that is remembered of a rollout, in the cluster. Times are milliseconds since 1970, of whoever drives it. */
export interface Rollout {
  readonly service: string;
  readonly namespace: string;
  readonly image: string;
  /** What the stable pods run, and run again after an abort. */
  readonly stableImage: string;
  readonly policyName: string;
  readonly policy: Policy;
  readonly phase: Phase;
  /** Index of the step that is wanted. */
  readonly step: number;
  readonly startedAtMs: number;
  readonly phaseSinceMs: number;
  /** Since when the calls are shared as the step says; windows before count for nothing. */
  readonly stepSinceMs?: number | undefined;
  /** Since when too few of its pods are ready. */
  readonly unreadySinceMs?: number | undefined;
  /** Since when windows say nothing. */
  readonly silentSinceMs?: number | undefined;
  readonly slowWindows: number;
  readonly goodWindows: number;
  /** What the stable pods answered in the last window in which they answered enough. */
  readonly baseline?: Counts | undefined;
  /** Why it ended as it did, or what it waits for. */
  readonly reason: string;
  /** Whether the stable pods were told to run the canary's image. */
  readonly stableTouched: boolean;
  /** Whether all that its end asks for was done. */
  readonly closed: boolean;
  /** The last windows, newest last: the evidence. */
  readonly windows: readonly (Judgement & { readonly atMs: number; readonly weight: number })[];
}

/** How things are now. */
export interface Observation {
  readonly nowMs: number;
  /** The canary's pods. `trouble` is why they cannot come up, if somebody says so. */
  readonly canary: {
    readonly ready: number;
    readonly restarts: number;
    readonly trouble?: string | undefined;
  };
  /** `rolled`: all of its pods run what was last asked for, and are ready. */
  readonly stable: {
    readonly replicas: number;
    readonly rolled: boolean;
    readonly trouble?: string | undefined;
  };
  /** Percent of the calls that the route gives the canary. */
  readonly weight: number;
  /** A window that has just ended. */
  readonly window?: { readonly judgement: Judgement; readonly stable: Counts } | undefined;
}

/** What the cluster is to be told. */
export interface Wanted {
  readonly weight: number;
  /** Pods of the canary; undefined leaves them as they are, for who looks for evidence. */
  readonly canaryPods: number | undefined;
  readonly stableImage: string;
  /** Whether the stable pods' autoscaler may take pods away. */
  readonly autoscalerHeld: boolean;
}

/** Evidence that is kept. */
const MAX_WINDOWS = 20;

/** Whether nothing more is to be decided. */
export const hasEnded = ({ phase }: Rollout) => phase === "promoted" || phase === "aborted";

/** What the cluster is to look like for a rollout as it stands. */
export function wantedOf(rollout: Rollout, { canary, stable }: Observation): Wanted {
  const { phase, policy, step, image, stableImage } = rollout;
  const calls = phase === "shifting" || phase === "promoting";
  return {
    weight: calls ? weightFor(rollout, canary.ready, stable.replicas) : 0,
    canaryPods: hasEnded(rollout) ? undefined : podsFor(policy.steps[step]?.weight ?? 100, stable.replicas),
    stableImage: rollout.stableTouched && phase !== "aborted" ? image : stableImage,
    autoscalerHeld: !hasEnded(rollout),
  };
}

/** The largest share up to the wanted one that the ready pods are enough for: none without pods. */
function weightFor({ policy, step }: Rollout, ready: number, stable: number): number {
  const possible = policy.steps.slice(0, step + 1).filter(({ weight }) => ready >= podsFor(weight, stable));
  return possible.at(-1)?.weight ?? 0;
}

/** What follows from an observation. Changes nothing for a rollout that has ended. */
export function advance(rollout: Rollout, seen: Observation): Rollout {
  if (hasEnded(rollout)) return rollout;
  const { policy } = rollout;
  if (seen.canary.restarts > policy.restarts && rollout.phase !== "settling")
    return abort(rollout, `the canary's containers were restarted ${seen.canary.restarts} times`, seen.nowMs);
  const watched = watchReadiness(rollout, seen);
  const { phase } = watched;
  return phase === "promoted" || phase === "aborted" ? watched : courses[phase](watched, seen);
}

/** Ends a rollout: no calls to the canary, the stable pods run what they ran. */
export function abort(rollout: Rollout, reason: string, nowMs: number): Rollout {
  return enter({ ...rollout, reason }, "aborted", nowMs);
}

/** Ends the watching, because somebody says so: the stable pods become the canary's image. */
export function promote(rollout: Rollout, nowMs: number, reason: string): Rollout {
  return enter({ ...rollout, stableTouched: true, reason }, "promoting", nowMs);
}

const enter = (rollout: Rollout, phase: Phase, nowMs: number): Rollout => ({
  ...rollout,
  phase,
  phaseSinceMs: nowMs,
  stepSinceMs: undefined,
  silentSinceMs: undefined,
  slowWindows: 0,
});

function watchReadiness(rollout: Rollout, { canary, stable, nowMs }: Observation): Rollout {
  if (rollout.phase === "promoting" || rollout.phase === "settling") return rollout;
  const needed = podsFor(rollout.policy.steps[rollout.step]?.weight ?? 100, stable.replicas);
  if (canary.ready >= needed) return { ...rollout, unreadySinceMs: undefined };
  const unreadySinceMs = rollout.unreadySinceMs ?? nowMs;
  const reason = `${canary.ready} of ${needed} pods of the canary are ready${canary.trouble ? `: ${canary.trouble}` : ""}`;
  const since = nowMs - unreadySinceMs;
  if (since >= rollout.policy.readyS * 1_000)
    return abort(rollout, `for ${Math.round(since / 1_000)} s, ${reason}`, nowMs);
  return { ...rollout, unreadySinceMs, stepSinceMs: undefined, reason };
}

type Course = (rollout: Rollout, seen: Observation) => Rollout;

const courses: Readonly<Record<Exclude<Phase, "promoted" | "aborted">, Course>> = {
  preparing(rollout, { nowMs }) {
    if (rollout.unreadySinceMs !== undefined) return rollout;
    const next = rollout.policy.steps[0]?.weight === 100 ? "measuring" : "shifting";
    return enter({ ...rollout, reason: "the canary is ready" }, next, nowMs);
  },
  measuring(rollout, { nowMs, window }) {
    const waitedMs = nowMs - rollout.phaseSinceMs;
    const reason = "what the stable pods do is measured";
    if (window && callsEnough(rollout.policy, window.judgement))
      return enter({ ...rollout, baseline: window.stable, reason }, "shifting", nowMs);
    if (waitedMs < rollout.policy.silenceS * 1_000) return { ...rollout, reason };
    return abort(rollout, "the stable pods answered too few calls to compare with", nowMs);
  },
  shifting,
  promoting(rollout, { nowMs, stable }) {
    if (!rollout.stableTouched) return { ...rollout, stableTouched: true };
    if (stable.rolled)
      return enter({ ...rollout, reason: "the stable pods run the canary's image" }, "settling", nowMs);
    const tookTooLong = nowMs - rollout.phaseSinceMs >= rollout.policy.promoteS * 1_000;
    if (!tookTooLong && stable.trouble === undefined) return rollout;
    return abort(
      rollout,
      `the stable pods did not become ready: ${stable.trouble ?? "it took too long"}`,
      nowMs,
    );
  },
  settling(rollout, { nowMs }) {
    if (nowMs - rollout.phaseSinceMs < rollout.policy.settleS * 1_000) return rollout;
    return enter({ ...rollout, reason: "promoted" }, "promoted", nowMs);
  },
};

const callsEnough = ({ minCalls }: Policy, { stableCalls }: Judgement) => stableCalls >= minCalls;

function shifting(rollout: Rollout, seen: Observation): Rollout {
  const { nowMs, weight, window } = seen;
  const step = rollout.policy.steps[rollout.step];
  if (!step) return promote(rollout, nowMs, "every step was good");
  if (weight !== step.weight) return { ...rollout, stepSinceMs: undefined };
  const since = rollout.stepSinceMs ?? nowMs;
  const here = { ...rollout, stepSinceMs: since };
  if (window === undefined) return here;
  const judged = record(here, window, seen);
  if (judged.phase !== "shifting" || window.judgement.verdict !== "good") return judged;
  if (nowMs - since < step.forS * 1_000) return judged;
  const next = { ...judged, step: rollout.step + 1, stepSinceMs: undefined };
  if (next.step < rollout.policy.steps.length) return next;
  return promote({ ...next, step: rollout.step }, nowMs, "every step was good");
}

function record(
  rollout: Rollout,
  { judgement, stable }: Required<Observation>["window"] & object,
  seen: Observation,
): Rollout {
  const { nowMs, weight } = seen;
  const windows = [...rollout.windows, { ...judgement, atMs: nowMs, weight }].slice(-MAX_WINDOWS);
  const heard = { ...rollout, windows, reason: judgement.reason };
  const { verdict } = judgement;
  if (verdict === "faulty") return abort(heard, judgement.reason, nowMs);
  if (verdict === "silent") return keepWaiting(heard, nowMs);
  const slowWindows = verdict === "slow" ? rollout.slowWindows + 1 : 0;
  if (slowWindows >= rollout.policy.slowWindows) return abort(heard, judgement.reason, nowMs);
  const baseline = callsEnough(rollout.policy, judgement) && weight < 100 ? stable : rollout.baseline;
  const goodWindows = rollout.goodWindows + (verdict === "good" ? 1 : 0);
  return { ...heard, slowWindows, goodWindows, baseline, silentSinceMs: undefined };
}

function keepWaiting(rollout: Rollout, nowMs: number): Rollout {
  const silentSinceMs = rollout.silentSinceMs ?? nowMs;
  const isLong = nowMs - silentSinceMs >= rollout.policy.silenceS * 1_000;
  if (isLong) return abort(rollout, `too few calls to judge by: ${rollout.reason}`, nowMs);
  return { ...rollout, silentSinceMs, reason: `waits for calls: ${rollout.reason}` };
}
