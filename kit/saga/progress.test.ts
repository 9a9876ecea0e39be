import { describe, expect, test } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { SagaDefinition, SagaStep } from "./definition.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  afterUndone,
  currentStep,
  type HeldSaga,
  hasEnded,
  toView,
} from "./progress.ts";

const budgetMs = 1_000;
const undo = async () => {};

/** reserve and authorize can be undone, notify cannot; capture decides; ship comes after the decision. */
const step = (name: string, rest: Partial<SagaStep<unknown>> = {}): SagaStep<unknown> => ({
  name,
  do: async () => ({}),
  attemptTimeoutMs: 100,
  budgetMs,
  ...rest,
});
const definition: SagaDefinition = {
  name: "checkout",
  version: 1,
  steps: [
    step("reserve", { undo }),
    step("notify"),
    step("authorize", { undo }),
    step("capture", { pivot: true }),
    step("ship", { undo }),
  ],
  onCompleted: async () => {},
  onCompensated: async () => {},
};
const [reserve, notify, authorize, capture, ship] = [0, 1, 2, 3, 4];

const aSaga = (change: Partial<HeldSaga> = {}): HeldSaga => ({
  sagaId: "saga_1",
  definition,
  subjectId: "order_1",
  correlationId: "corr",
  status: "running",
  step: 0,
  input: { pieces: 2 },
  results: {},
  failure: undefined,
  attempt: 0,
  stepStartedAtMs: 0,
  fencingToken: 4n,
  version: 7n,
  ...change,
});

const refused = serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, "Nothing left.");
const away = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");
const soonMs = budgetMs - 1;
const lateMs = budgetMs;

describe("a step that was done", () => {
  test("hands on to the next, with its result, a fresh count of attempts and the next version", () => {
    const { after, result, waitMs } = afterDone(aSaga({ attempt: 3 }), { reservationId: "r" });
    expect(after).toMatchObject({
      status: "running",
      step: notify,
      attempt: 0,
      version: 8n,
      fencingToken: 4n,
    });
    expect(after.results).toEqual({ reserve: { reservationId: "r" } });
    expect(result).toEqual({ reserve: { reservationId: "r" } });
    expect(waitMs).toBe(0);
    expect(after.stepStartedAtMs).toBeGreaterThan(0);
  });

  test("completes the saga when it was the last", () => {
    const { after } = afterDone(aSaga({ step: ship }), {});
    expect(after.status).toBe("completed");
    expect(hasEnded(after)).toBe(true);
  });
});

describe("a refusal", () => {
  test.each([
    ["of the first step ends the saga: nothing was done", reserve, "compensated", 0],
    ["after a step without an undo undoes the one before it", authorize, "compensating", reserve],
    ["of a step without an undo undoes those before it", notify, "compensating", reserve],
    ["of the deciding step undoes those before it, not itself", capture, "compensating", authorize],
  ] as const)("%s", (_what, at, status, next) => {
    const { after, waitMs } = afterFailedDo(aSaga({ step: at }), refused, soonMs);
    expect(after).toMatchObject({ status, step: next, attempt: 0, version: 8n });
    const name = definition.steps[at]?.name;
    expect(after.failure).toEqual({ step: name, reason: "OUT_OF_STOCK", message: "Nothing left." });
    expect(waitMs).toBe(0);
  });

  test("after the decision is tried again, not undone", () => {
    const { after, waitMs } = afterFailedDo(aSaga({ step: ship }), refused, lateMs);
    expect(after).toMatchObject({ status: "running", step: ship, attempt: 1, failure: undefined });
    expect(waitMs).toBeGreaterThanOrEqual(0);
  });
});

describe("an unknown outcome", () => {
  test.each([
    ["within the budget is tried again", reserve, soonMs],
    ["of the deciding step is tried again, budget or not", capture, lateMs],
    ["after the decision is tried again, budget or not", ship, lateMs],
  ] as const)("%s", (_what, at, nowMs) => {
    const saga = aSaga({ step: at, attempt: 2 });
    const { after, result } = afterFailedDo(saga, away, nowMs);
    expect(after).toEqual({ ...saga, attempt: 3, version: 8n });
    expect(result).toBeUndefined();
  });

  test("at the end of the budget is undone too, and its reason is kept", () => {
    const { after } = afterFailedDo(aSaga({ step: authorize }), away, lateMs);
    expect(after).toMatchObject({ status: "compensating", step: authorize, attempt: 0 });
    expect(after.failure).toMatchObject({ step: "authorize", reason: "DEPENDENCY_UNAVAILABLE" });
  });

  test("of another kind than the contract knows counts as a step that did not end", () => {
    const { after } = afterFailedDo(aSaga(), new TypeError("a bug"), lateMs);
    expect(after).toMatchObject({ status: "compensating", step: reserve });
    expect(after.failure).toEqual({
      step: "reserve",
      reason: "DEADLINE_EXCEEDED",
      message: "The step reserve did not end.",
    });
  });

  test("at the end of the budget of a step without an undo undoes those before it", () => {
    expect(afterFailedDo(aSaga({ step: notify }), away, lateMs).after).toMatchObject({
      status: "compensating",
      step: reserve,
    });
  });

  test("waits longer with each attempt, at random, and never longer than five seconds", () => {
    const waitsAfter = (attempt: number) =>
      Array.from({ length: 200 }, () => afterFailedDo(aSaga({ attempt }), away, soonMs).waitMs);
    expect(Math.max(...waitsAfter(0))).toBeLessThanOrEqual(200);
    expect(Math.max(...waitsAfter(1))).toBeGreaterThan(200);
    expect(Math.max(...waitsAfter(20))).toBeLessThanOrEqual(5_000);
    expect(Math.max(...waitsAfter(20))).toBeGreaterThan(3_000);
    expect(new Set(waitsAfter(3)).size).toBeGreaterThan(20);
  });
});

describe("undoing", () => {
  const failure = { step: "capture", reason: "CARD_DECLINED", message: "No." };
  const undoing = (at: number) => aSaga({ status: "compensating", step: at, failure, attempt: 5 });

  test("goes back step by step, past those without an undo, and keeps why", () => {
    expect(afterUndone(undoing(authorize)).after).toMatchObject({
      status: "compensating",
      step: reserve,
      attempt: 0,
      failure,
    });
  });

  test("of the first step ends the saga", () => {
    const { after } = afterUndone(undoing(reserve));
    expect(after).toMatchObject({ status: "compensated", failure });
    expect(hasEnded(after)).toBe(true);
  });

  test("that fails is tried again, however often", () => {
    const saga = undoing(reserve);
    expect(afterFailedUndo(saga).after).toEqual({ ...saga, attempt: 6, version: 8n });
  });
});

test("a running or compensating saga has not ended", () => {
  expect(hasEnded(aSaga())).toBe(false);
  expect(hasEnded(aSaga({ status: "compensating" }))).toBe(false);
});

test("steps and hooks see what the saga is about and how far it is, and not who holds it", () => {
  const results = { authorize: { paymentId: "p" }, reserve: {} };
  expect(toView(aSaga({ step: capture, results }))).toEqual({
    sagaId: "saga_1",
    subjectId: "order_1",
    correlationId: "corr",
    input: { pieces: 2 },
    results,
    failure: undefined,
    status: "running",
    lastDone: "authorize",
  });
  expect(toView(aSaga()).lastDone).toBeUndefined();
});

test("a position that the definition does not have is a fault", () => {
  expect(() => currentStep(aSaga({ step: 5 }))).toThrow("saga checkout has no step 5");
});
