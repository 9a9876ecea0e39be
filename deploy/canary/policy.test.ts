import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { plannedWindows, podsFor } from "./policy.ts";
import { parsePolicy, readPolicy } from "./policy-file.ts";

const names = readdirSync(join(import.meta.dirname, "policies")).map((file) => file.replace(".yaml", ""));

test("the policies of the folder can be read; the default one rises from 5 over 25 and 50 to 100", () => {
  expect(names.sort()).toEqual(["blue-green", "default", "quick"]);
  for (const name of names) expect(plannedWindows(readPolicy(name))).toBeGreaterThan(0);
  expect(readPolicy("default").steps.map(({ weight }) => weight)).toEqual([5, 25, 50, 100]);
  expect(readPolicy("blue-green").steps.map(({ weight }) => weight)).toEqual([100]);
});

test("a faulty build is found by a window, a slow one by two: in 30 seconds after the first full one in every policy", () => {
  for (const name of names) {
    const { windowS, slowWindows } = readPolicy(name);
    expect((slowWindows - 1) * windowS).toBeLessThan(30);
  }
});

test.each([
  ["[]", "a policy is a map"],
  ["steps: []", "1 to 20 steps"],
  ["windowS: 20", "1 to 20 steps"],
  ["steps: [{ weight: 5 }]", "forS is a number"],
  ["steps: [{ weight: 0, forS: 1 }]", "whole numbers that rise"],
  ["steps: [{ weight: 101, forS: 1 }]", "whole numbers that rise"],
  ["steps: [{ weight: 2.5, forS: 1 }]", "whole numbers that rise"],
  ["steps: [{ weight: 50, forS: 1 }, { weight: 25, forS: 1 }]", "not 25 after 50"],
  ["steps: [{ weight: 5, forS: 1, pause: yes }]", 'a step has no "pause"'],
  ["steps: [5]", "whole numbers that rise"],
  ["steps: [{ weight: 5, forS: 1 }]\nwindow: 20", 'a policy has no "window"'],
  ["steps: [{ weight: 5, forS: 1 }]\nfalseAborts: 0", "falseAborts is a number"],
  ["steps: [{ weight: 5, forS: 1 }]\nminCalls: many", "minCalls is a number"],
  ["steps: [{ weight: 5, forS: 1 }]\nslowRatio: .nan", "slowRatio is a number"],
  ["steps: [{ weight: 5, forS: 1 }]\ntoString: 1", 'a policy has no "toString"'],
])("%s is refused: %s", (text, sentence) => {
  expect(() => parsePolicy(text)).toThrow(sentence);
});

test("a policy that is not there is named", () => {
  expect(() => readPolicy("greedy")).toThrow("policy greedy:");
});

test("a canary has pods for its share of the calls, and never none", () => {
  expect([5, 25, 50, 100].map((weight) => podsFor(weight, 6))).toEqual([1, 2, 3, 6]);
  expect(podsFor(5, 1)).toBe(1);
});
