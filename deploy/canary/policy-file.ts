// Policies as files: deploy/canary/policies/*.yaml, or whoever's own.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Policy, Step } from "./policy.ts";

/** The name of the policy where none is given. */
export const DEFAULT_POLICY = "default";

const LIMITS: Readonly<
  Record<Exclude<keyof Policy, "steps">, readonly [fallback: number, min: number, max: number]>
> = {
  warmupS: [10, 0, 3_600],
  windowS: [20, 1, 3_600],
  minCalls: [100, 1, 1_000_000],
  longestWindowS: [120, 1, 86_400],
  silenceS: [1_800, 1, 86_400],
  falseAborts: [0.01, 1e-9, 0.5],
  faultFloor: [0.01, 0, 1],
  faultRatio: [1.5, 1, 100],
  slowRatio: [1.3, 1, 100],
  slowMs: [5, 0, 60_000],
  slowWindows: [2, 1, 10],
  restarts: [0, 0, 100],
  readyS: [180, 1, 3_600],
  promoteS: [900, 1, 86_400],
  settleS: [60, 0, 3_600],
  evidenceS: [600, 0, 86_400],
};

/** Reads a policy. Throws a sentence about the first thing that is wrong with it. */
export function parsePolicy(text: string): Policy {
  const given: unknown = parse(text);
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new Error("a policy is a map");
  const fields = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fields).find((name) => name !== "steps" && !Object.hasOwn(LIMITS, name));
  if (unknown !== undefined) throw new Error(`a policy has no "${unknown}"`);
  const numbers = Object.entries(LIMITS).map(([name, [fallback, min, max]]) => {
    const value = fields[name] ?? fallback;
    if (typeof value !== "number" || !(value >= min && value <= max))
      throw new Error(`${name} is a number from ${min} to ${max}, not ${JSON.stringify(value)}`);
    return [name, value] as const;
  });
  // Every name of LIMITS has its number.
  return {
    ...(Object.fromEntries(numbers) as unknown as Omit<Policy, "steps">),
    steps: readSteps(fields.steps),
  };
}

function readSteps(steps: unknown): Step[] {
  if (!Array.isArray(steps) || steps.length === 0 || steps.length > 20)
    throw new Error("a policy has 1 to 20 steps");
  return steps.map((step, index) =>
    readStep(step, (steps[index - 1] as Partial<Step> | undefined)?.weight ?? 0),
  );
}

function readStep(step: unknown, before: number): Step {
  const { weight, forS, ...rest } = (step ?? {}) as Partial<Record<string, unknown>>;
  const [extra] = Object.keys(rest);
  if (extra !== undefined) throw new Error(`a step has no "${extra}"`);
  if (typeof weight !== "number" || !Number.isInteger(weight) || weight <= before || weight > 100)
    throw new Error(
      `weights are whole numbers that rise to 100 at most, not ${JSON.stringify(weight)} after ${before}`,
    );
  if (typeof forS !== "number" || !(forS >= 0 && forS <= 86_400))
    throw new Error(`forS is a number from 0 to 86400, not ${JSON.stringify(forS)}`);
  return { weight, forS };
}

/** Reads one of the policies of this folder, or a file. */
export function readPolicy(name: string): Policy {
  const path = /[./]/.test(name) ? name : join(import.meta.dirname, "policies", `${name}.yaml`);
  try {
    return parsePolicy(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`policy ${name}: ${(error as Error).message}`, { cause: error });
  }
}
