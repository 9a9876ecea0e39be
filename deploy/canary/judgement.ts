// Whether a canary is worse than the stable pods, by the calls that both answered in one window.

import { type Counts, callsOf, type MethodCounts } from "./counts.ts";
import { type Policy, plannedWindows } from "./policy.ts";
import { binomialTail, hypergeometricTail } from "./statistics.ts";

/** What a window says. `faulty` ends a rollout at once, `slow` when it is said repeatedly, `silent` is no success. */
export type Verdict = "good" | "faulty" | "slow" | "silent";

/** A window, judged. */
export interface Judgement {
  readonly verdict: Verdict;
  /** For people, with the numbers. */
  readonly reason: string;
  readonly canaryCalls: number;
  readonly canaryFaults: number;
  readonly stableCalls: number;
  readonly stableFaults: number;
}

/** What was answered in one window. */
export interface Window {
  readonly canary: Counts;
  readonly stable: Counts;
}

/** The stable pods' durations are looked at where this share of their calls takes longer: median, p90, p99. */
const TAILS = [0.6, 0.3, 0.1, 0.01];

/** What is certain may still be small: the odds of a call to be above the bound are half as large again, at least. */
const SLOW_ODDS = 1.5;

/**
 * Judges a window. Each finding is a test whose error is bounded, and all tests of a rollout share the policy's `falseAborts`:
 * however many windows there are, noise aborts no more good canaries than that.
 */
export function judge({ canary, stable }: Window, policy: Policy): Judgement {
  const numbers = {
    canaryCalls: callsOf(canary),
    canaryFaults: faultsOf(canary),
    stableCalls: callsOf(stable),
    stableFaults: faultsOf(stable),
  };
  if (numbers.canaryCalls < policy.minCalls)
    return {
      verdict: "silent",
      reason: `${numbers.canaryCalls} calls, ${policy.minCalls} are needed`,
      ...numbers,
    };
  const level = levelOf(canary, policy);
  const faulty = findFaulty({ canary, stable }, policy, level);
  if (faulty !== undefined) return { verdict: "faulty", reason: faulty, ...numbers };
  // It takes so many windows in a row, each of other calls, to find it slow: each by itself may be wrong more often.
  const slow = findSlow({ canary, stable }, policy, level ** (1 / policy.slowWindows));
  if (slow !== undefined) return { verdict: "slow", reason: slow, ...numbers };
  return {
    verdict: "good",
    reason: `${numbers.canaryCalls} calls, ${numbers.canaryFaults} faults`,
    ...numbers,
  };
}

const faultsOf = (counts: Counts) => Object.values(counts).reduce((sum, { faults }) => sum + faults, 0);

/** What is left of `falseAborts` for one test: faults of each method and of all, the tails of each. */
function levelOf(canary: Counts, policy: Policy): number {
  const methods = Object.values(canary).filter(({ calls }) => calls > 0).length;
  return policy.falseAborts / (plannedWindows(policy) * (1 + methods * (1 + TAILS.length)));
}

function findFaulty({ canary, stable }: Window, policy: Policy, level: number): string | undefined {
  const all = { name: "all methods", own: total(canary), other: total(stable) };
  const methods = Object.entries(canary).map(([name, own]) => ({
    name,
    own,
    other: stable[name] ?? NOTHING,
  }));
  const found = [all, ...methods].find(({ own, other }) => isFaulty(own, other, policy, level));
  if (found === undefined) return undefined;
  const { name, own, other } = found;
  return `${name}: ${share(own.faults, own.calls)} of the canary's calls failed, ${share(other.faults, other.calls)} of the stable pods'`;
}

const NOTHING: Pick<MethodCounts, "calls" | "faults"> = { calls: 0, faults: 0 };
const total = (counts: Counts) => ({ calls: callsOf(counts), faults: faultsOf(counts) });

const share = (part: number, whole: number) =>
  whole === 0 ? "none" : `${((100 * part) / whole).toFixed(1)} % (${part} of ${whole})`;

type Failing = Pick<MethodCounts, "calls" | "faults">;

/** More than the floor, and more than `faultRatio` times the stable pods' share: both beyond chance. */
function isFaulty(own: Failing, other: Failing, policy: Policy, level: number): boolean {
  if (own.faults === 0 || binomialTail(own.faults, own.calls, policy.faultFloor) > level) return false;
  if (other.calls === 0) return true;
  // Of all faults, as many fall to the canary as its calls weigh, if it may have so many more of them: exact for rare faults.
  const weighed = policy.faultRatio * own.calls;
  return binomialTail(own.faults, own.faults + other.faults, weighed / (weighed + other.calls)) <= level;
}

function findSlow({ canary, stable }: Window, policy: Policy, level: number): string | undefined {
  for (const [name, own] of Object.entries(canary)) {
    const other = stable[name];
    if (other === undefined) continue;
    for (const tail of TAILS) {
      const found = slowAt({ own, other, tail }, policy, level);
      if (found !== undefined) return `${name}: ${found}`;
    }
  }
  return undefined;
}

interface Pair {
  readonly own: MethodCounts;
  readonly other: MethodCounts;
  readonly tail: number;
}

/**
 * A canary that is at most `slowRatio` times as slow has no larger share of calls above a bound than the stable pods have above the bound
 * divided by `slowRatio`. That lies within a bucket, so it is interpolated: always to more than they have above the bound itself,
 * so an equal canary is never wronged by it.
 */
function slowAt({ own, other, tail }: Pair, policy: Policy, level: number): string | undefined {
  const calls = own.buckets.at(-1)?.[1] ?? 0;
  const stable = other.buckets.at(-1)?.[1] ?? 0;
  const forgiven = policy.slowMs / 1_000;
  // At a lower bound than twice what is forgiven, next to all of the stable pods' calls would lie above what is allowed, and nothing be found.
  const bound =
    other.buckets.find(([one, below]) => one >= 2 * forgiven && stable - below <= tail * stable)?.[0] ??
    Number.POSITIVE_INFINITY;
  if (calls === 0 || stable === 0 || !Number.isFinite(bound)) return undefined;
  const allowed = Math.min(bound / policy.slowRatio, bound - forgiven);
  const above = calls - belowOf(own, bound);
  const stableAbove = Math.ceil(stable - belowOf(other, allowed));
  const odds = (part: number, whole: number) => (part + 0.5) / (whole - part + 0.5);
  if (odds(above, calls) < SLOW_ODDS * odds(stableAbove, stable)) return undefined;
  if (hypergeometricTail(above, calls, above + stableAbove, calls + stable) > level) return undefined;
  return `${share(above, calls)} of the canary's calls took more than ${ms(bound)}, ${share(stableAbove, stable)} of the stable pods' more than ${ms(allowed)}`;
}

/** How many calls took at most so long; within a bucket as if they were spread evenly over the logarithm of its time. */
function belowOf({ buckets }: MethodCounts, seconds: number): number {
  const index = buckets.findIndex(([bound]) => bound >= seconds);
  const [bound, below] = buckets[index] ?? [0, 0];
  // What is below the first bound is taken to begin at a quarter of it.
  const [lower, before] = buckets[index - 1] ?? [bound / 4, 0];
  if (seconds <= lower) return 0;
  return bound === seconds
    ? below
    : before + ((below - before) * Math.log(seconds / lower)) / Math.log(bound / lower);
}

const ms = (seconds: number) => `${Math.round(seconds * 10_000) / 10} ms`;
