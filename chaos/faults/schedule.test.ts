import { describe, expect, test } from "vitest";
import type { FaultKind, PlannedFault } from "./fault.ts";
import { planFaults, type ScheduleOptions } from "./schedule.ts";

const options: ScheduleOptions = {
  seed: 1,
  durationMs: 600_000,
  variant: "random",
  services: ["orders", "payments"],
  links: ["nats", "orders", "redis"],
};

const of = (faults: readonly PlannedFault[], kind: FaultKind) =>
  faults.filter(({ fault }) => fault.kind === kind);

/** The longest stretches without a fault, added up. */
function quietMs(faults: readonly PlannedFault[], durationMs: number): number {
  const moments = [0, ...faults.map(({ atMs }) => atMs), durationMs];
  return moments
    .slice(1)
    .map((atMs, index) => atMs - (moments[index] ?? 0))
    .filter((gapMs) => gapMs >= 4_000)
    .reduce((sum, gapMs) => sum + gapMs, 0);
}

describe("a schedule", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(planFaults(options)).toEqual(planFaults(options));
    expect(planFaults({ ...options, seed: 2 })).not.toEqual(planFaults(options));
  });

  test.each([1, 2, 3, 4, 5, 6, 7])(
    "of seed %i has more faults than a run has to reach, all within it",
    (seed) => {
      const faults = planFaults({ ...options, seed });
      expect(of(faults, "kill-service").length).toBeGreaterThan(80);
      for (const kind of ["kill-broker", "crash-postgres", "flush-redis"] as const)
        expect(of(faults, kind).length).toBeGreaterThan(10);
      const terminated = of(faults, "terminate-backends").map(({ fault }) =>
        fault.kind === "terminate-backends" ? fault.count : 0,
      );
      expect(terminated.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(300);
      expect(faults.every(({ atMs }) => atMs >= 0 && atMs <= 600_000)).toBe(true);
      expect(faults).toEqual(faults.toSorted((a, b) => a.atMs - b.atMs));
    },
  );

  test.each([1, 2, 3, 4, 5, 6, 7])("of seed %i is quiet for about a quarter of the time", (seed) => {
    const quiet = quietMs(planFaults({ ...options, seed }), 600_000) / 600_000;
    expect(quiet).toBeGreaterThan(0.15);
    expect(quiet).toBeLessThan(0.4);
  });

  test("of one minute has its share of every kind", () => {
    const kinds = new Set(planFaults({ ...options, durationMs: 60_000 }).map(({ fault }) => fault.kind));
    expect([...kinds].sort()).toEqual(
      [
        ...["crash-postgres", "flush-redis", "freeze-service", "kill-broker", "kill-redis", "kill-service"],
        ...[
          "late-command",
          "refuse-writes",
          "repeat-events",
          "reset-link",
          "shift-clock",
          "terminate-backends",
          "trouble-link",
        ],
      ].sort(),
    );
  });

  test("keeps a service's clock within the reservations' quarter of an hour once it is set", () => {
    const steps = of(planFaults(options), "shift-clock").filter(({ atMs }) => atMs > 0);
    const total = steps.reduce((sum, { fault }) => sum + (fault.kind === "shift-clock" ? fault.ms : 0), 0);
    expect(steps.length).toBeGreaterThan(10);
    expect(Math.abs(total)).toBeLessThan(10 * 60_000);
  });
});

test("a swizzle stops links one by one and lets them go in another order", () => {
  const stalls = of(planFaults({ ...options, variant: "swizzle", counts: {} }), "trouble-link").map(
    ({ atMs, fault }) => ({ atMs, untilMs: atMs + ("forMs" in fault ? fault.forMs : 0) }),
  );
  expect(stalls.length).toBeGreaterThan(20);
  const reordered = stalls.filter(({ untilMs }, index) => untilMs < (stalls[index - 1]?.untilMs ?? 0));
  expect(reordered.length).toBeGreaterThan(3);
});

test("a rolling deploy ends every replica once and nothing else", () => {
  const faults = planFaults({ ...options, variant: "rolling" });
  expect(faults.map(({ fault }) => fault)).toEqual([
    { kind: "restart-service", service: "orders", replica: 1 },
    { kind: "restart-service", service: "orders", replica: 2 },
    { kind: "restart-service", service: "payments", replica: 1 },
    { kind: "restart-service", service: "payments", replica: 2 },
  ]);
});
