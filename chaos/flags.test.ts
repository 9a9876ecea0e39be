import { expect, test } from "vitest";
import { plantedBugs } from "#kit/failpoints/planted.ts";
import { parseFlags } from "./flags.ts";
import { invariants } from "./invariants/invariants.ts";
import { searchFor } from "./planted.ts";

test("without flags a run lasts five minutes, with seed 1 and random faults", () => {
  expect(parseFlags([])).toMatchObject({
    run: { minutes: 5, seed: 1, variant: "random", planted: undefined },
  });
});

test("a flag's value is taken as it is meant", () => {
  const asked = parseFlags([
    "--minutes",
    "0.5",
    "--seed",
    "7",
    "--variant",
    "rolling",
    "--against",
    "ports.json",
    "--speed",
    "0.3",
  ]);
  const run = { minutes: 0.5, seed: 7, variant: "rolling", against: "ports.json", speed: 0.3 };
  expect(asked).toMatchObject({ run });
});

test.each([
  [["--minutes", "soon"], "--minutes is a number"],
  [["--minutes", "0"], "--minutes is a number"],
  [["--speed", "2"], "--speed is a number from 0.1 to 1"],
  [["--seed", ""], "--seed is a number"],
  [["--variant", "gentle"], "--variant is one of random, swizzle, rolling, quiet"],
  [["--loud"], "Unknown option"],
])("%j is refused in words", (args, message) => {
  expect(() => parseFlags(args)).toThrow(message);
});

test("each planted bug is looked for by invariants there are", () => {
  const names = invariants.map(({ name }) => name);
  for (const bug of plantedBugs) {
    const wanted = searchFor(bug).invariants;
    expect(wanted.length).toBeGreaterThan(0);
    expect(names).toEqual(expect.arrayContaining([...wanted]));
  }
});

test("a bug that is not planted is refused with the names of those that are", () => {
  expect(() => searchFor("off-by-one")).toThrow("ack-before-commit, publish-before-commit");
});
