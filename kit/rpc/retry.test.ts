import { expect, it } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { deadlineIn } from "#kit/time/time.ts";
import { createRetryBudget, type RetryTerms, withRetries } from "./retry.ts";

const away = () => serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");

const patiently = (): RetryTerms => ({
  retries: 2,
  budget: createRetryBudget(),
  deadline: deadlineIn(600_000),
  signal: undefined,
});

/** How often a call that fails each time is made. */
async function attemptsOf(terms: RetryTerms): Promise<number> {
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    throw away();
  };
  await expect(withRetries(attempt, terms)).rejects.toThrow("Away.");
  return attempts;
}

it("a call that fails each time is repeated twice", async () => {
  expect(await attemptsOf(patiently())).toBe(3);
});

it("repeats stay below a tenth of all calls, but for the first ten", async () => {
  const terms = patiently();
  const attempts = await Promise.all(Array.from({ length: 60 }, () => attemptsOf(terms)));
  const repeats = attempts.reduce((sum, one) => sum + one, -60);
  expect(repeats).toBeGreaterThanOrEqual(10);
  expect(repeats).toBeLessThanOrEqual(10 + 60 / 10);
});

it("a call that would be repeated after its deadline is not", async () => {
  expect(await attemptsOf({ ...patiently(), deadline: deadlineIn(0) })).toBe(1);
});
