import { describe, expect, test } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";
import { UnusableReply } from "./definition.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  currentStep,
  hasEnded,
  isAtRest,
  toView,
} from "./progress.ts";
import {
  aSaga,
  authorize,
  away,
  capture,
  definition,
  lateMs,
  notify,
  refused,
  reserve,
  ship,
  soonMs,
  undoing,
} from "./tests/held.ts";

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
