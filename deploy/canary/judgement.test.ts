import { describe, expect, test } from "vitest";
import type { Counts, MethodCounts } from "./counts.ts";
import { type Judgement, judge } from "./judgement.ts";
import { plannedWindows } from "./policy.ts";
import { parsePolicy, readPolicy } from "./policy-file.ts";
import { aCrowd, type Build, type Noise } from "./simulated-pods.ts";

const policy = readPolicy("default");
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, Number.POSITIVE_INFINITY];

/** Counts of one method by how many calls fell into each bucket. */
const method = (faults: number, inBuckets: readonly number[]): MethodCounts => {
  let sum = 0;
  const buckets = bounds.map((bound, index) => {
    sum += inBuckets[index] ?? 0;
    return [bound, sum] as const;
  });
  return { calls: sum, faults, buckets };
};
const steady = (calls: number, faults = 0): Counts => ({
  Get: method(
    faults,
    [0.5, 0.4, 0.08, 0.015, 0.005].map((share) => Math.round(share * calls)),
  ),
});
const verdict = (canary: Counts, stable: Counts) => judge({ canary, stable }, policy);

describe("a window", () => {
  test("with too few calls says nothing, however bad they are", () => {
    expect(verdict(steady(40, 40), steady(4_000))).toMatchObject({ verdict: "silent" });
    expect(verdict({}, steady(4_000))).toMatchObject({ verdict: "silent", canaryCalls: 0 });
  });

  test("with the same answers is good, and with a fault more or two as well", () => {
    expect(verdict(steady(200), steady(3_800)).verdict).toBe("good");
    expect(verdict(steady(200, 3), steady(3_800, 4)).verdict).toBe("good");
  });

  test("in which every fifth call fails is faulty, also with the fewest calls that count", () => {
    const found = verdict(steady(100, 20), steady(1_900));
    expect(found).toMatchObject({ verdict: "faulty", canaryFaults: 20, stableFaults: 0 });
    expect(found.reason).toBe(
      "all methods: 19.8 % (20 of 101) of the canary's calls failed, 0.0 % (0 of 1901) of the stable pods'",
    );
  });

  test("in which both fail alike blames something else", () => {
    expect(verdict(steady(500, 100), steady(9_500, 1_900)).verdict).toBe("good");
    expect(verdict(steady(500, 250), steady(9_500, 950)).verdict).toBe("faulty");
  });

  test("shows the one method that fails among many that do not", () => {
    const rest = { List: method(0, [4_000]) };
    const found = verdict({ ...rest, Get: method(12, [60]) }, { ...rest, Get: method(0, [1_000]) });
    expect(found).toMatchObject({
      verdict: "faulty",
      reason: expect.stringMatching(/^Get: 20.0 % \(12 of 60\)/),
    });
  });

  test("compared with nothing is judged by the floor alone", () => {
    expect(verdict(steady(400, 80), {}).verdict).toBe("faulty");
    expect(verdict(steady(400, 4), {}).verdict).toBe("good");
  });

  test("in which the canary takes far longer is slow, and says where", () => {
    const slower = { Get: method(0, [10, 60, 80, 40, 10]) };
    const found = verdict(slower, steady(3_800));
    expect(found.verdict).toBe("slow");
    expect(found.reason).toMatch(
      /^Get: .* of the canary's calls took more than \d+ ms, .* more than \d+ ms$/,
    );
  });

  test("in which a fast method takes far longer is slow, though all of the stable pods' calls lie below the first bound", () => {
    const fast = { Get: method(0, [3_800]) };
    expect(verdict({ Get: method(0, [0, 0, 0, 100, 100]) }, fast).verdict).toBe("slow");
    // Within what a policy forgives whatever the factor: 5 ms.
    expect(verdict({ Get: method(0, [200]) }, fast).verdict).toBe("good");
  });

  test("in which only the slowest calls are slower still shows it", () => {
    const tail = { Get: method(0, [500, 400, 60, 10, 0, 30]) };
    expect(verdict(tail, steady(19_000)).verdict).toBe("slow");
  });

  test("in which the canary is faster is good", () => {
    expect(verdict({ Get: method(0, [200]) }, { Get: method(0, [0, 0, 0, 1_900, 1_900]) }).verdict).toBe(
      "good",
    );
  });

  test("knows nothing of durations that go beyond the last bound on both sides", () => {
    const beyond = (calls: number): Counts => ({ Get: method(0, [0, 0, 0, 0, 0, calls]) });
    expect(verdict(beyond(200), beyond(3_800)).verdict).toBe("good");
  });
});

/** What a rollout makes of a build: the windows until it was aborted, or undefined. */
function abortedAfter(
  build: Build,
  noise: Noise,
  seed: number,
  callsPerS: number,
  rules = policy,
): number | undefined {
  const crowd = aCrowd(seed, noise);
  let slow = 0;
  let windows = 0;
  for (const { weight, forS } of rules.steps.filter((step) => step.weight < 100)) {
    for (let at = 0; at < Math.max(1, Math.ceil(forS / rules.windowS)); at += 1) {
      const found: Judgement = judge(
        crowd.window({ build, weight, seconds: rules.windowS, callsPerS }),
        rules,
      );
      // It goes on until there are enough calls; the next one stands for that.
      if (found.verdict === "silent") continue;
      windows += 1;
      slow = found.verdict === "slow" ? slow + 1 : 0;
      if (found.verdict === "faulty" || slow >= rules.slowWindows) return windows;
    }
  }
  return undefined;
}

const noises: Readonly<Record<string, Noise>> = {
  calm: { faultShare: 0.001, podSpread: 0.03, pausesPerMinute: 1, outagesPerMinute: 0 },
  busy: { faultShare: 0.005, podSpread: 0.08, pausesPerMinute: 6, outagesPerMinute: 0.2 },
};
const good: Build = { faultShare: 0, slower: 1 };

describe("over a whole rollout", () => {
  test("of 2,000 good canaries in a noisy cluster at most 5 in 100 are aborted", { timeout: 120_000 }, () => {
    const aborted = Array.from({ length: 2_000 }, (_, seed) => {
      const noise = noises[seed % 2 === 0 ? "calm" : "busy"] as Noise;
      return abortedAfter(good, noise, seed, [120, 150, 400][seed % 3] as number);
    });
    expect(aborted.filter((at) => at !== undefined).length).toBeLessThanOrEqual(100);
  });

  test.each(Object.keys(noises))(
    "a build that answers INTERNAL to every fifth call is found by the first window: %s",
    (name) => {
      for (let seed = 0; seed < 200; seed += 1)
        expect(abortedAfter({ faultShare: 0.2, slower: 1 }, noises[name] as Noise, seed, 120)).toBe(1);
    },
  );

  test.each(Object.keys(noises))(
    "a build that takes three times as long is found by the first windows that may say so: %s",
    (name) => {
      const found = Array.from({ length: 100 }, (_, seed) =>
        abortedAfter({ faultShare: 0, slower: 3 }, noises[name] as Noise, seed, 120),
      );
      expect(found.filter((at) => at === policy.slowWindows).length).toBeGreaterThanOrEqual(95);
    },
  );

  test("one that takes twice as long is found before more than a quarter of the calls meet it", () => {
    const quarter = plannedWindows({ ...policy, steps: policy.steps.slice(0, 2) });
    for (let seed = 0; seed < 100; seed += 1)
      expect(abortedAfter({ faultShare: 0, slower: 2 }, noises.busy as Noise, seed, 120)).toBeLessThanOrEqual(
        quarter,
      );
  });

  test("more windows make no more good canaries fall: they share what may be wrong", () => {
    const long = parsePolicy("steps: [{ weight: 25, forS: 6000 }]\nwindowS: 20");
    expect(plannedWindows(long)).toBe(300);
    const aborted = Array.from({ length: 60 }, (_, seed) =>
      abortedAfter(good, noises.busy as Noise, seed, 120, long),
    );
    expect(aborted.filter((at) => at !== undefined).length).toBeLessThanOrEqual(3);
  });
});
