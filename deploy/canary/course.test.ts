import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { abort, advance, hasEnded, type Observation, promote, type Rollout, wantedOf } from "./course.ts";
import type { Judgement, Verdict } from "./judgement.ts";
import { podsFor } from "./policy.ts";
import { parsePolicy } from "./policy-file.ts";
import { readRollout, writeRollout } from "./record.ts";

const policy = parsePolicy(`
steps: [{ weight: 5, forS: 60 }, { weight: 50, forS: 60 }, { weight: 100, forS: 0 }]
windowS: 20
settleS: 30
readyS: 60
silenceS: 100
promoteS: 300`);

const START = 1_000_000;
const begun: Rollout = {
  service: "orders",
  namespace: "souk",
  image: "souk/orders:2",
  stableImage: "souk/orders:1",
  policyName: "default",
  policy,
  phase: "preparing",
  step: 0,
  startedAtMs: START,
  phaseSinceMs: START,
  slowWindows: 0,
  goodWindows: 0,
  reason: "",
  stableTouched: false,
  closed: false,
  windows: [],
};

const judgement = (verdict: Verdict): Judgement => ({
  verdict,
  reason: verdict,
  canaryCalls: 200,
  canaryFaults: 0,
  stableCalls: 4_000,
  stableFaults: 0,
});

interface Seen {
  readonly ready?: number;
  readonly restarts?: number;
  readonly verdict?: Verdict | undefined;
  readonly rolled?: boolean;
  readonly trouble?: string;
  readonly replicas?: number;
}

/** A cluster that does what it is told, at once; one look each second. */
function play(
  rollout: Rollout,
  seconds: number,
  seenAt: (second: number, now: Rollout) => Seen = () => ({}),
) {
  let now = rollout;
  let weight = 0;
  const weights: number[] = [];
  for (let second = 1; second <= seconds && !hasEnded(now); second += 1) {
    const { verdict, ...seen } = { ready: 4, replicas: 4, ...seenAt(second, now) };
    const isWindow = second % 20 === 0;
    const looked = look(second, { ...seen, weight, verdict: isWindow ? (verdict ?? "good") : undefined });
    now = advance(now, looked);
    weight = wantedOf(now, looked).weight;
    weights.push(weight);
  }
  return { now, weights, changes: weights.filter((one, index) => one !== weights[index - 1]) };
}

function look(
  second: number,
  {
    ready = 4,
    restarts = 0,
    rolled = true,
    replicas = 4,
    verdict,
    trouble,
    weight,
  }: Seen & { weight: number },
): Observation {
  return {
    nowMs: START + second * 1_000,
    canary: { ready, restarts },
    stable: { replicas, rolled, trouble },
    weight,
    ...(verdict && { window: { judgement: judgement(verdict), stable: {} } }),
  };
}

describe("a good canary", () => {
  test("gets its share step by step, then the stable pods follow, and it has no call in the end", () => {
    const { now, changes } = play(begun, 1_000);
    expect(now).toMatchObject({ phase: "promoted", stableTouched: true });
    expect(changes).toEqual([5, 50, 100, 0]);
    const seen = look(1_000, { weight: 0 });
    expect(wantedOf(now, seen)).toEqual({
      weight: 0,
      canaryPods: undefined,
      stableImage: "souk/orders:2",
      autoscalerHeld: false,
    });
  });

  test("keeps the stable pods' image and holds their autoscaler until its steps are over", () => {
    const early = play(begun, 30).now;
    expect(wantedOf(early, look(30, { weight: 5 }))).toMatchObject({
      stableImage: "souk/orders:1",
      autoscalerHeld: true,
    });
    const late = play(begun, 1_000, (_second, { phase }) => ({ rolled: phase !== "promoting" }));
    expect(late.now).toMatchObject({ phase: "aborted", reason: expect.stringContaining("it took too long") });
    expect(wantedOf(late.now, look(1_000, { weight: 0 })).stableImage).toBe("souk/orders:1");
  });

  test("has as many pods as its share asks for before it gets that share", () => {
    const few = play(begun, 300, () => ({ ready: 1, replicas: 4 }));
    expect(Math.max(...few.weights)).toBe(5);
    expect(few.now).toMatchObject({ phase: "aborted", reason: expect.stringContaining("1 of 2 pods") });
  });
});

describe("an abort", () => {
  test("follows a faulty window at once", () => {
    const { now, weights } = play(begun, 300, (second) => ({ verdict: second >= 40 ? "faulty" : "good" }));
    expect(now).toMatchObject({ phase: "aborted", reason: "faulty" });
    expect(weights).toHaveLength(40);
    expect(weights.at(-1)).toBe(0);
  });

  test("follows a second slow window in a row, and not a first", () => {
    const slow = play(begun, 300, (second) => ({ verdict: second >= 40 ? "slow" : "good" }));
    expect([slow.now.phase, slow.weights.length]).toEqual(["aborted", 60]);
    const once = play(begun, 1_000, (second) => ({
      verdict: second === 40 || second === 80 ? "slow" : "good",
    }));
    expect(once.now.phase).toBe("promoted");
  });

  test("follows a restart of the canary's containers", () => {
    const { now } = play(begun, 300, (second) => ({ restarts: second >= 30 ? 1 : 0 }));
    expect(now).toMatchObject({ phase: "aborted", reason: "the canary's containers were restarted 1 times" });
  });

  test("follows when nobody calls for long; silence is no success meanwhile", () => {
    const { now, weights } = play(begun, 1_000, () => ({ verdict: "silent" }));
    expect(now).toMatchObject({ phase: "aborted", reason: expect.stringContaining("too few calls") });
    expect(Math.max(...weights)).toBe(5);
  });

  test("brings back what the stable pods ran, where their new image does not start", () => {
    const stuck = play(begun, 1_000, (_second, { phase }) =>
      phase === "promoting" ? { rolled: false, trouble: "ProgressDeadlineExceeded" } : {},
    );
    expect(stuck.now).toMatchObject({
      phase: "aborted",
      reason: expect.stringContaining("ProgressDeadlineExceeded"),
      stableTouched: true,
    });
    expect(wantedOf(stuck.now, look(1_000, { weight: 0 })).stableImage).toBe("souk/orders:1");
  });

  test("leaves the pods and the windows for who looks for the reason", () => {
    const { now } = play(begun, 300, (second) => ({ verdict: second >= 40 ? "faulty" : "good" }));
    expect(wantedOf(now, look(300, { weight: 0 })).canaryPods).toBeUndefined();
    expect(now.windows.map(({ verdict }) => verdict)).toEqual(["good", "faulty"]);
  });
});

test("a canary whose pods are not ready gets no call in that very look, and its share back when they are", () => {
  const { weights, now } = play(begun, 75, (second) => ({ ready: second >= 30 && second < 50 ? 0 : 4 }));
  expect(weights.slice(29, 49)).toEqual(Array.from({ length: 20 }, () => 0));
  expect([weights[28], weights[50], now.phase]).toEqual([5, 5, "shifting"]);
  const gone = play(begun, 300, (second) => ({ ready: second >= 30 ? 0 : 4 }));
  expect(gone.now).toMatchObject({ phase: "aborted", reason: expect.stringContaining("0 of 1 pods") });
});

test("blue-green measures the stable pods first, then gives all calls at once", () => {
  const blueGreen = {
    ...begun,
    policy: parsePolicy("steps: [{ weight: 100, forS: 40 }]\nwindowS: 20\nsettleS: 30"),
  };
  const { now, changes, weights } = play(blueGreen, 1_000);
  expect(changes).toEqual([0, 100, 0]);
  expect(weights.indexOf(100)).toBe(19);
  expect([now.phase, now.baseline]).toEqual(["promoted", {}]);
});

test("promoted by hand it leaves the steps out; aborted by hand it has no call, whatever it was at", () => {
  const early = play(begun, 30).now;
  const promoted = promote(early, START + 31_000, "promoted by hand");
  expect(wantedOf(promoted, look(31, { weight: 5 }))).toMatchObject({
    weight: 5,
    stableImage: "souk/orders:2",
  });
  expect(play(promoted, 400).now.phase).toBe("promoted");
  for (const at of [early, promoted])
    expect(wantedOf(abort(at, "enough", START + 32_000), look(32, { weight: 5 }))).toMatchObject({
      weight: 0,
      stableImage: "souk/orders:1",
    });
});

const weatherStep = fc.record({
  ready: fc.integer({ min: 0, max: 5 }),
  restarts: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  verdict: fc.constantFrom<Verdict>("good", "good", "good", "good", "slow", "silent", "faulty"),
  rolled: fc.boolean(),
  replicas: fc.integer({ min: 1, max: 5 }),
});

describe("whatever happens,", () => {
  test("calls go only to pods that are enough for them, and none after the end; what has ended stays so", () => {
    fc.assert(
      fc.property(fc.array(weatherStep, { minLength: 1, maxLength: 120 }), (weather) => {
        let now = begun;
        let weight = 0;
        for (const [second, seen] of weather.entries()) {
          const looked = look(second + 1, {
            ...seen,
            verdict: second % 4 === 0 ? seen.verdict : undefined,
            weight,
          });
          const next = advance(now, looked);
          if (hasEnded(now)) expect(next).toBe(now);
          const wanted = wantedOf(next, looked);
          if (wanted.weight > 0)
            expect(seen.ready).toBeGreaterThanOrEqual(podsFor(wanted.weight, seen.replicas));
          if (hasEnded(next)) expect(wanted).toMatchObject({ weight: 0, autoscalerHeld: false });
          if (next.phase === "aborted") expect(wanted.stableImage).toBe(begun.stableImage);
          // No step is left out, and none without a good window.
          expect(next.step - now.step).toBeLessThanOrEqual(1);
          if (next.step > now.step) expect(looked.window?.judgement.verdict).toBe("good");
          [now, weight] = [next, wanted.weight];
        }
      }),
    );
  });

  test("a run that takes over decides as the one before: what is remembered is all there is", () => {
    fc.assert(
      fc.property(fc.array(weatherStep, { minLength: 2, maxLength: 60 }), fc.nat(), (weather, cut) => {
        let [one, other, weight] = [begun, begun, 0];
        for (const [second, seen] of weather.entries()) {
          if (second === cut % weather.length) other = readRollout(writeRollout(other));
          const looked = look(second + 1, { ...seen, weight });
          [one, other] = [advance(one, looked), advance(other, looked)];
          weight = wantedOf(one, looked).weight;
        }
        expect(readRollout(writeRollout(other))).toEqual(readRollout(writeRollout(one)));
      }),
    );
  });
});

test("a histogram's last bound survives being remembered", () => {
  const baseline = {
    Get: {
      calls: 2,
      faults: 0,
      buckets: [
        [0.1, 1],
        [Number.POSITIVE_INFINITY, 2],
      ] as const,
    },
  };
  expect(readRollout(writeRollout({ ...begun, baseline })).baseline).toEqual(baseline);
});
