import { expect, test } from "vitest";
import type { Incident } from "../faults/incident.ts";
import { measureRun } from "../requirements.ts";
import { drawPicture } from "./picture.ts";
import { percentile, recoveriesMs } from "./recovery.ts";

const crash = (fromMs: number, toMs: number): Incident => ({
  fault: { kind: "crash-postgres", how: "kill", downMs: 500 },
  fromMs,
  toMs,
  hits: 1,
});
const ended = (count: number): Incident => ({
  fault: { kind: "terminate-backends", count: 8 },
  fromMs: 0,
  toMs: 1,
  hits: count,
});

test("what a run has to reach is pro rata of ten minutes, and counts what was hit", () => {
  const requirements = measureRun({
    minutes: 2,
    speed: 1,
    incidents: [crash(0, 1), ended(50)],
    orders: 900,
    faults: true,
  });
  const reached = new Map(requirements.map(({ name, asked, reached }) => [name, [asked, reached]]));
  expect(reached.get("orders accepted")).toEqual([1_000, 900]);
  expect(reached.get("service SIGKILLs")).toEqual([16, 0]);
  expect(reached.get("Postgres crashes")).toEqual([2, 1]);
  expect(reached.get("backend terminations")).toEqual([60, 50]);
});

test("a machine that others use too is asked for less", () => {
  const requirements = measureRun({ minutes: 2, speed: 0.5, incidents: [], orders: 0, faults: true });
  expect(requirements.slice(0, 2).map(({ asked }) => asked)).toEqual([500, 8]);
});

test("where the faults are somebody else's, only orders are asked for", () => {
  const requirements = measureRun({ minutes: 10, speed: 1, incidents: [], orders: 5_000, faults: false });
  expect(requirements).toEqual([{ name: "orders accepted", asked: 5_000, reached: 5_000 }]);
});

test("recovery is the time from a store's return to the next success", () => {
  const outcomes = [
    { atMs: 100, outcome: "ok" },
    { atMs: 2_050, outcome: "unknown" },
    { atMs: 2_300, outcome: "ok" },
    { atMs: 9_000, outcome: "ok" },
  ];
  expect(recoveriesMs([crash(1_000, 2_000), crash(8_000, 8_900)], outcomes, "crash-postgres", [])).toEqual([
    300, 100,
  ]);
});

test("a return counts only where nothing else was out meanwhile", () => {
  const outcomes = [{ atMs: 9_000, outcome: "ok" }];
  const incidents = [crash(1_000, 2_000), crash(3_000, 8_900)];
  expect(recoveriesMs(incidents, outcomes, "crash-postgres", [])).toEqual([100]);
  const stalled: Incident = {
    fault: { kind: "trouble-link", link: "postgres:orders", trouble: { kind: "stalled" }, forMs: 2_000 },
    fromMs: 8_950,
    toMs: 8_990,
    hits: 1,
  };
  expect(recoveriesMs([...incidents, stalled], outcomes, "crash-postgres", [])).toEqual([]);
});

test("a percentile is a value that was there", () => {
  expect([0.5, 0.99, 1].map((share) => percentile([3, 1, 2], share))).toEqual([2, 3, 3]);
  expect(percentile([], 0.5)).toBeUndefined();
});

test("the picture shows each kind of fault that happened, and the answers by outcome", () => {
  const outcomes = [
    { atMs: 10, outcome: "ok" as const },
    { atMs: 20, outcome: "unknown" as const },
  ];
  const svg = drawPicture({ durationMs: 60_000, incidents: [crash(1_000, 2_000), ended(3)], outcomes });
  expect(svg).toContain("crash-postgres");
  expect(svg).toContain("terminate-backends");
  expect(svg).not.toContain("kill-broker");
  expect(svg.match(/fill="#d9534f"/g)).toHaveLength(2);
});

test("a return that a standstill of the whole machine follows tells nothing of the shop", () => {
  const outcomes = [{ atMs: 9_000, outcome: "ok" }];
  const incidents = [crash(3_000, 4_000)];
  const recoveries = (fromMs: number, toMs: number) =>
    recoveriesMs(incidents, outcomes, "crash-postgres", [{ fromMs, toMs }]);
  expect([recoveries(4_100, 8_900), recoveries(0, 3_900)]).toEqual([[], [5_000]]);
});
