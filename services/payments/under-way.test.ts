import { expect, test } from "vitest";
import type { Payment } from "./payment.ts";
import { createPaymentsUnderWay } from "./under-way.ts";

const outcome = (authorizeKey: string, status: Payment["status"] = "CAPTURED") =>
  ({ authorizeKey, status, amount: { currencyCode: "EUR", amountMinor: 1n } }) as Payment;

test("who asks about a payment under way gets the result that is recorded", async () => {
  const underWay = createPaymentsUnderWay({ patienceMs: 60_000, maxKnown: 10 });
  underWay.start("a");
  const asked = underWay.outcomeOf("a");
  underWay.recorded(outcome("a"));
  expect(await asked).toMatchObject({ status: "CAPTURED" });
  expect(await underWay.outcomeOf("a")).toMatchObject({ status: "CAPTURED" });
});

test("a command that fails keeps nobody waiting for longer than the patience", async () => {
  const underWay = createPaymentsUnderWay({ patienceMs: 5, maxKnown: 10 });
  underWay.start("a");
  expect(await underWay.outcomeOf("a")).toBeUndefined();
});

test("a repeated command does not strand those who wait for the first", async () => {
  const underWay = createPaymentsUnderWay({ patienceMs: 60_000, maxKnown: 10 });
  underWay.start("a");
  const asked = underWay.outcomeOf("a");
  underWay.start("a");
  expect(await asked).toBeUndefined();
});

test("the oldest results are forgotten first", async () => {
  const underWay = createPaymentsUnderWay({ patienceMs: 60_000, maxKnown: 2 });
  for (const key of ["a", "b", "a", "c"]) underWay.recorded(outcome(key));
  expect(await underWay.outcomeOf("b")).toBeUndefined();
  expect(await underWay.outcomeOf("a")).toBeDefined();
  expect(await underWay.outcomeOf("c")).toBeDefined();
});
