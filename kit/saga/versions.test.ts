import { describe, expect, test } from "vitest";
import type { SagaDefinition, SagaStep } from "./definition.ts";
import { everyVersion, lastReleased } from "./versions.ts";

const step = (name: string, rest: Partial<SagaStep<unknown>> = {}): SagaStep<unknown> => ({
  name,
  do: async () => ({}),
  attemptTimeoutMs: 100,
  budgetMs: 1_000,
  ...rest,
});

const aDefinition = (change: Partial<SagaDefinition> = {}): SagaDefinition => ({
  name: "checkout",
  version: 2,
  steps: [step("reserve"), step("capture", { pivot: true })],
  onCompleted: async () => {},
  onCompensated: async () => {},
  ...change,
});

test("an earlier version is served with its own steps and today's hooks", () => {
  const definition = aDefinition({ earlier: [{ version: 1, steps: [step("charge")] }] });
  const versions = everyVersion([definition, aDefinition({ name: "return" })]);
  expect(versions.map(({ name, version, steps }) => [name, version, steps.map((each) => each.name)])).toEqual(
    [
      ["checkout", 2, ["reserve", "capture"]],
      ["checkout", 1, ["charge"]],
      ["return", 2, ["reserve", "capture"]],
    ],
  );
  expect(versions[1]?.onCompleted).toBe(definition.onCompleted);
});

describe("a definition that could not be driven is refused at the start:", () => {
  test.each<[string, Partial<SagaDefinition>]>([
    ["a version given twice", { earlier: [{ version: 2, steps: [step("a")] }] }],
    ["no steps", { steps: [] }],
    ["two steps of one name", { steps: [step("a"), step("a")] }],
    [
      "an earlier version with two pivots",
      { earlier: [{ version: 1, steps: [step("a", { pivot: true }), step("b", { pivot: true })] }] },
    ],
  ])("%s", (_what, change) => {
    expect(() => everyVersion([aDefinition(change)])).toThrow("saga checkout");
  });

  test("two definitions of one name and version", () => {
    expect(() => everyVersion([aDefinition(), aDefinition()])).toThrow("two definitions of saga checkout");
  });
});

test("the last released version is the newest of the earlier ones, and the only one where nothing has changed", () => {
  const earlier = [1, 3, 2].map((version) => ({ version, steps: [step(`of-${version}`)] }));
  const last = lastReleased(aDefinition({ version: 4, earlier }));
  expect([last.version, last.steps.map(({ name }) => name)]).toEqual([3, ["of-3"]]);
  const unchanged = aDefinition();
  expect(lastReleased(unchanged)).toBe(unchanged);
});
