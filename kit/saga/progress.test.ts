import { describe, expect, test } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";
import { type SagaDefinition, type SagaStep, UnusableReply } from "./definition.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  afterRetried,
  afterSettled,
  afterTurned,
  afterUndone,
  currentStep,
  type HeldSaga,
  hasEnded,
  isAtRest,
  isDecided,
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
  parking: undefined,
  attempt: 0,
  stepStartedAtMs: 0,
  startedAtMs: performance.now(),
  fencingToken: 4n,
  version: 7n,
  ...change,
});

const refused = serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, "Nothing left.");
const away = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");
const failure = { step: "capture", reason: "CARD_DECLINED", message: "No." };
const undoing = (at: number) => aSaga({ status: "compensating", step: at, failure, attempt: 5 });
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

  test("after the decision is for an operator, not undone", () => {
    const { after, waitMs } = afterFailedDo(aSaga({ step: ship, attempt: 2 }), refused, soonMs);
    expect(after).toMatchObject({
      status: "parked",
      step: ship,
      attempt: 2,
      failure: undefined,
      version: 8n,
    });
    expect(after.parking).toEqual({ reason: "OUT_OF_STOCK", message: "Nothing left." });
    expect(waitMs).toBe(0);
    expect(isAtRest(after)).toBe(true);
    expect(hasEnded(after)).toBe(false);
  });

  test("keeps what it says without what a row cannot hold", () => {
    const odd = serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, `a\0b${"x".repeat(2_000)}`);
    const { after } = afterFailedDo(aSaga({ step: authorize }), odd, soonMs);
    expect(after.failure?.message).toBe(`ab${"x".repeat(998)}`);
  });

  test.each([Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED])(
    "it is none when the caller or the callee's version is at fault: %s",
    (code) => {
      const error = new ServiceError({ code, reason: "NOT_NOW", domain: "test", message: "Not now." });
      expect(afterFailedDo(aSaga({ step: authorize }), error, soonMs).after).toMatchObject({
        status: "running",
        attempt: 1,
      });
      expect(afterFailedDo(aSaga({ step: authorize }), error, lateMs).after).toMatchObject({
        status: "compensating",
        step: authorize,
      });
      expect(afterFailedDo(aSaga({ step: ship }), error, lateMs).after).toMatchObject({ status: "running" });
      expect(afterFailedUndo(undoing(authorize), error, soonMs).after).toMatchObject({
        status: "compensating",
        attempt: 6,
      });
    },
  );
});

test.each([reserve, authorize, capture, ship])(
  "a reply that cannot be used parks the saga, at step %i",
  (at) => {
    const { after } = afterFailedDo(aSaga({ step: at }), new UnusableReply("The reply names no id."), soonMs);
    expect(after).toMatchObject({ status: "parked", step: at, failure: undefined });
    expect(after.parking).toEqual({ reason: "UNUSABLE_REPLY", message: "The reply names no id." });
  },
);

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

  test("that fails is tried again while there is time, and then is for an operator", () => {
    const saga = undoing(reserve);
    const quarterMs = 15 * 60_000;
    expect(afterFailedUndo(saga, away, quarterMs - 1).after).toEqual({ ...saga, attempt: 6, version: 8n });
    const { after } = afterFailedUndo(saga, away, quarterMs);
    expect(after).toMatchObject({ status: "parked", step: reserve, failure });
    expect(after.parking).toEqual({ reason: "DEPENDENCY_UNAVAILABLE", message: "Away." });
  });

  test("has the time that its step gives it", () => {
    const steps = [step("reserve", { undo, undoBudgetMs: 70 })];
    const saga = { ...undoing(reserve), definition: { ...definition, steps } };
    expect(afterFailedUndo(saga, away, 69).after.status).toBe("compensating");
    expect(afterFailedUndo(saga, away, 70).after.status).toBe("parked");
  });

  test("that is refused, or answered with something unusable, is for an operator at once", () => {
    expect(afterFailedUndo(undoing(reserve), refused, soonMs).after).toMatchObject({
      status: "parked",
      parking: { reason: "OUT_OF_STOCK" },
    });
    expect(afterFailedUndo(undoing(reserve), new UnusableReply("Odd."), soonMs).after).toMatchObject({
      status: "parked",
      parking: { reason: "UNUSABLE_REPLY" },
    });
  });

  test("that fails for a bug of ours tells nobody its text", () => {
    const { after } = afterFailedUndo(undoing(reserve), new TypeError("a bug"), 15 * 60_000);
    expect(after.parking).toEqual({ reason: "INTERNAL", message: "Something went wrong on our side." });
  });
});

describe("a parked saga", () => {
  const parking = { reason: "OUT_OF_STOCK", message: "Nothing left." };
  const parkedAt = (at: number, change: Partial<HeldSaga> = {}) =>
    aSaga({ status: "parked", step: at, attempt: 9, parking, ...change });

  test("goes on where it stopped when it is retried, in its direction and with fresh budgets", () => {
    const fresh = { attempt: 0, parking: undefined, version: 8n };
    expect(afterRetried(parkedAt(ship)).after).toMatchObject({ status: "running", step: ship, ...fresh });
    expect(afterRetried(parkedAt(authorize, { failure })).after).toMatchObject({
      status: "compensating",
      step: authorize,
      failure,
      ...fresh,
    });
    expect(afterRetried(parkedAt(ship)).after.stepStartedAtMs).toBeGreaterThan(0);
  });

  test("whose step is declared done goes on behind it, or completes, or undoes the step before", () => {
    expect(afterSettled(parkedAt(authorize)).after).toMatchObject({ status: "running", step: capture });
    expect(afterSettled(parkedAt(ship)).after).toMatchObject({ status: "completed", parking: undefined });
    expect(afterSettled(parkedAt(authorize, { failure })).after).toMatchObject({
      status: "compensating",
      step: reserve,
    });
    expect(afterSettled(parkedAt(reserve, { failure })).after).toMatchObject({
      status: "compensated",
      failure,
    });
  });

  test("that is turned round undoes its step too, and says why it was parked", () => {
    const { after } = afterTurned(parkedAt(authorize));
    expect(after).toMatchObject({ status: "compensating", step: authorize, parking: undefined });
    expect(after.failure).toEqual({ step: "authorize", ...parking });
    expect(afterTurned(parkedAt(authorize, { failure })).after).toMatchObject({ step: reserve, failure });
  });

  test("is decided from the pivot on", () => {
    expect([reserve, authorize, capture, ship].map((at) => isDecided(parkedAt(at)))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

test("a running or compensating saga has not ended", () => {
  expect(hasEnded(aSaga())).toBe(false);
  expect(hasEnded(aSaga({ status: "compensating" }))).toBe(false);
});

test("steps and hooks see what the saga is about and how far it is, and not who holds it", () => {
  const results = { authorize: { paymentId: "p" }, reserve: {} };
  const startedAtMs = performance.now() - 90_000;
  expect(toView(aSaga({ step: capture, results, startedAtMs }))).toEqual({
    sagaId: "saga_1",
    subjectId: "order_1",
    correlationId: "corr",
    input: { pieces: 2 },
    results,
    failure: undefined,
    parking: undefined,
    status: "running",
    lastDone: "authorize",
    ageMs: expect.closeTo(90_000, -4),
  });
  expect(toView(aSaga()).lastDone).toBeUndefined();
});

test("a position that the definition does not have is a fault", () => {
  expect(() => currentStep(aSaga({ step: 5 }))).toThrow("saga checkout has no step 5");
});
