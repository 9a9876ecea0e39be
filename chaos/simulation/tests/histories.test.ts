import { describe, expect, test } from "vitest";
import { checkHistories } from "../check-histories.ts";
import { edges } from "../edges.ts";
import { runHistory } from "../history.ts";
import { mutations, unbroken } from "../mutations.ts";
import type { Plan } from "../plan.ts";

/** A part of those that `.ci/run` looks at, enough to take every edge. */
const histories = 4_000;
const minutes = 60_000;

test("whatever is lost, repeated, late or dies, every order ends, money moves once and stock adds up", {
  timeout: 10 * minutes,
}, async () => {
  const { failure, ran, edges: taken } = await checkHistories({ histories, seed: 1 }, unbroken);
  expect(failure).toBeUndefined();
  expect(ran).toBe(histories);
  expect([...taken.keys()].sort()).toEqual(edges.toSorted());
});

describe("a bug is caught within 500 histories", () => {
  test.each(Object.entries(mutations))("%s", { timeout: 5 * minutes }, async (_, mutation) => {
    const { failure } = await checkHistories({ histories: 500, seed: 1, shrink: false }, mutation);
    expect(failure?.violations).toMatch(/./);
  });
});

/** Ids are made at random, and decide nothing. */
const withoutIds = (text = "") => text.replaceAll(/_[0-9a-z]{26}/g, "");

test("one seed makes one history, to the last word", async () => {
  const broken = mutations["releasing stock leaves no tombstone"] ?? unbroken;
  const first = await checkHistories({ histories: 500, seed: 1, shrink: false }, broken);
  const again = await checkHistories(
    { histories: 1, seed: 1, path: first.failure?.path, shrink: false },
    broken,
  );
  expect(again.failure?.plan).toEqual(first.failure?.plan);
  expect(withoutIds(again.failure?.violations)).toBe(withoutIds(first.failure?.violations));
});

const visa = { card: "pm_card_visa", address: "good", placedAtMs: 0, replica: 0 } as const;

/** Histories that once went wrong. */
const pinned: readonly (readonly [string, Plan])[] = [
  [
    // Inventory commits a reservation and stalls; the repeat finds nothing left, and cannot look up the answer that it has.
    "a repeat that cannot look up its first answer is not refused for the first one's effect",
    {
      pieces: { LAMP: 1, MUG: 0 },
      orders: [{ ...visa, lines: { LAMP: 1 }, totalMinor: 1_740n }],
      outages: [],
      choices: [0, 0, 0, 0, 960, 0, 975, 0, 0, 0, 925],
    },
  ],
];

test.each(pinned)("%s", async (_, plan) => {
  expect((await runHistory(plan, unbroken)).violations).toEqual([]);
});
