// Pods as clusters have them, for the tests of what is said about them: no two alike, none quiet, all ill at times.

import type { Counts, MethodCounts } from "./counts.ts";
import type { Window } from "./judgement.ts";

/** What is the matter with a build. */
export interface Build {
  /** Share of its calls that it fails beside the noise. */
  readonly faultShare: number;
  /** 2: every call takes twice as long. */
  readonly slower: number;
}

/** What is the matter with the cluster. */
export interface Noise {
  /** Share of all calls that fail anyway. */
  readonly faultShare: number;
  /** How much pods differ in speed: the deviation of the logarithm. */
  readonly podSpread: number;
  /** How often a pod stands still for some 80 ms: garbage, a neighbour. */
  readonly pausesPerMinute: number;
  /** How often something that all pods need is away for some seconds: every tenth call fails, all are slow. */
  readonly outagesPerMinute: number;
}

/** Those of kit/telemetry that such calls reach. */
const BOUNDS_S = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, Number.POSITIVE_INFINITY];

/** Methods, their share of the calls, and their median in seconds. */
const METHODS = [
  { name: "Get", share: 0.8, medianS: 0.004 },
  { name: "Place", share: 0.2, medianS: 0.03 },
];

/** Deviation of the logarithm of one call's duration. */
const CALL_SPREAD = 0.6;

/** Windows of a cluster that is always the same for the same seed. */
export function aCrowd(seed: number, noise: Noise) {
  const random = createRandom(seed);
  // The stable pods are several, so that what is peculiar to one of them weighs less.
  const [canarySpeed, stableSpeed] = [noise.podSpread, noise.podSpread / Math.sqrt(3)].map((spread) =>
    Math.exp(spread * random.normal()),
  ) as [number, number];
  return {
    window({
      build,
      weight,
      seconds,
      callsPerS,
    }: {
      build: Build;
      weight: number;
      seconds: number;
      callsPerS: number;
    }): Window {
      const drift = Math.exp(0.2 * random.normal());
      const isOut = random.uniform() < (noise.outagesPerMinute * seconds) / 60;
      const outage = isOut ? { faults: (0.1 * 4) / seconds, slower: 1.5 } : { faults: 0, slower: 1 };
      const track = (share: number, speed: number, own: Build & { pods: number }): Counts => {
        const pauses = random.poisson((noise.pausesPerMinute * seconds * own.pods) / 60) / own.pods;
        return answers({
          calls: callsPerS * seconds * share,
          slower: speed * drift * outage.slower * own.slower,
          faultShare: 1 - (1 - noise.faultShare) * (1 - outage.faults) * (1 - own.faultShare),
          pausedShare: Math.min(1, (pauses * 0.08) / seconds),
          random,
        });
      };
      return {
        canary: track(weight / 100, canarySpeed, { ...build, pods: 1 }),
        stable: track(1 - weight / 100, stableSpeed, { faultShare: 0, slower: 1, pods: 3 }),
      };
    },
  };
}

interface Answering {
  readonly calls: number;
  readonly slower: number;
  readonly faultShare: number;
  /** Share of the calls that came while the pod stood still. */
  readonly pausedShare: number;
  readonly random: Random;
}

function answers({ calls, slower, faultShare, pausedShare, random }: Answering): Counts {
  const methods = METHODS.map(({ name, share, medianS }): [string, MethodCounts] => {
    const count = random.poisson(calls * share);
    const paused = random.binomial(count, pausedShare);
    let [left, below, remaining] = [count - paused, 0, 1];
    const buckets = BOUNDS_S.map((bound) => {
      const upTo =
        bound === Number.POSITIVE_INFINITY ? 1 : cdf(Math.log(bound / (medianS * slower)) / CALL_SPREAD);
      const here = random.binomial(left, Math.min(1, Math.max(0, (upTo - (1 - remaining)) / remaining)));
      [left, below, remaining] = [left - here, below + here, Math.max(1e-12, 1 - upTo)];
      return [bound, below + (bound >= 0.1 ? paused : 0)] as const;
    });
    return [name, { calls: count, faults: random.binomial(count, faultShare), buckets }];
  });
  return Object.fromEntries(methods);
}

/** Of the normal distribution; good to 1e-7. */
function cdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  const upper =
    density *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - upper : upper;
}

interface Random {
  uniform(): number;
  normal(): number;
  poisson(mean: number): number;
  binomial(n: number, p: number): number;
}

function createRandom(seed: number): Random {
  let state = (seed + 1) * 0x9e3779b9;
  // Mulberry32.
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  let spare: number | undefined;
  const normal = () => {
    const kept = spare;
    spare = undefined;
    if (kept !== undefined) return kept;
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  const rounded = (mean: number, deviation: number) => Math.max(0, Math.round(mean + deviation * normal()));
  const poisson = (mean: number) => {
    if (mean > 30) return rounded(mean, Math.sqrt(mean));
    let [count, product] = [0, uniform()];
    for (const end = Math.exp(-mean); product > end; product *= uniform()) count += 1;
    return count;
  };
  const binomial = (n: number, p: number): number => {
    if (n <= 0 || p <= 0) return 0;
    if (p > 0.5) return n - binomial(n, 1 - p);
    if (n * p > 12) return Math.min(n, rounded(n * p, Math.sqrt(n * p * (1 - p))));
    // From hit to hit, by the length of the way between them.
    let [hits, at] = [0, 0];
    for (;;) {
      at += 1 + Math.floor(Math.log(1 - uniform()) / Math.log1p(-p));
      if (at > n) return hits;
      hits += 1;
    }
  };
  return { uniform, normal, poisson, binomial };
}
