import { expect, test } from "vitest";
import { plantedBugs } from "#kit/failpoints/planted.ts";
import { planFaults, usualCounts } from "./faults/schedule.ts";
import { invariants } from "./invariants/invariants.ts";
import { searchFor } from "./planted.ts";

const seeds = [1, 2, 3, 4, 5];

test.each(plantedBugs)(
  "%s is looked for by faults that any seed has, and that ordinary runs have too",
  (bug) => {
    const { seconds, counts, ...search } = searchFor(bug);
    for (const seed of seeds) {
      const options = { ...search, counts, seed, variant: "random" as const, durationMs: seconds * 1_000 };
      const kinds = new Set(planFaults(options).map(({ fault }) => fault.kind));
      expect([...kinds].sort()).toEqual(Object.keys(counts).sort());
    }
    expect(Object.keys(usualCounts)).toEqual(expect.arrayContaining(Object.keys(counts)));
  },
);

test.each(plantedBugs)("%s breaks invariants that there are", (bug) => {
  const names = invariants.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...searchFor(bug).invariants]));
});

test("a bug that is not planted is refused with the names of those that are", () => {
  expect(() => searchFor("no-such-bug")).toThrow(/ack-before-commit.*swallowed-commit-error/);
});
