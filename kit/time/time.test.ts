import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoffMs, deadlineIn, delay, earliest } from "./time.ts";

describe("a deadline", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("shrinks with time and never goes below zero", () => {
    const deadline = deadlineIn(100);
    expect(deadline.remainingMs()).toBe(100);
    vi.advanceTimersByTime(40);
    expect(deadline.remainingMs()).toBe(60);
    vi.advanceTimersByTime(200);
    expect(deadline.remainingMs()).toBe(0);
  });

  it("that comes first wins, whichever side it stands on", () => {
    const soon = deadlineIn(10);
    const late = deadlineIn(Number.POSITIVE_INFINITY);
    expect(earliest(soon, late)).toBe(soon);
    expect(earliest(late, soon)).toBe(soon);
  });
});

describe("backoff", () => {
  it("doubles its bound with each attempt up to the longest wait", () => {
    const bounds = [1, 2, 3, 4, 5, 2_000].map((attempt) =>
      backoffMs(attempt, { baseMs: 50, maxMs: 300 }, () => 1),
    );
    expect(bounds).toEqual([50, 100, 200, 300, 300, 300]);
  });

  it("spreads callers over the whole of the bound", () => {
    const waits = Array.from({ length: 500 }, () => backoffMs(3, { baseMs: 100, maxMs: 10_000 }));
    expect(Math.min(...waits)).toBeLessThan(100);
    expect(Math.max(...waits)).toBeGreaterThan(300);
    expect(waits.every((wait) => wait >= 0 && wait < 400)).toBe(true);
  });
});

describe("a delay", () => {
  it("ends after its time", async () => {
    const before = performance.now();
    await delay(20);
    expect(performance.now() - before).toBeGreaterThanOrEqual(19);
  });

  it("ends at once when its signal aborts, with the signal's reason as cause", async () => {
    const controller = new AbortController();
    const reason = new Error("stopping");
    const waiting = delay(60_000, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toMatchObject({ name: "AbortError", cause: reason });
  });

  it("longer than a timer can count does not end at once", async () => {
    const controller = new AbortController();
    const waiting = delay(Number.POSITIVE_INFINITY, controller.signal);
    await expect(Promise.race([waiting, delay(20).then(() => "still waiting")])).resolves.toBe(
      "still waiting",
    );
    controller.abort();
    await expect(waiting).rejects.toThrow();
  });
});
