import { describe, expect, test } from "vitest";
import { UnusableReply } from "./definition.ts";
import {
  afterFailedUndo,
  afterRetried,
  afterSettled,
  afterTurned,
  afterUndone,
  type HeldSaga,
  hasEnded,
  isDecided,
} from "./progress.ts";
import {
  aSaga,
  authorize,
  away,
  capture,
  definition,
  failure,
  refused,
  reserve,
  ship,
  soonMs,
  step,
  undo,
  undoing,
} from "./tests/held.ts";

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
