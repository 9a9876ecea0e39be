import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchStandstills } from "./standstills.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Time passes, and no timer of this process has run. */
function sleep(ms: number) {
  const now = performance.now();
  const spy = vi.spyOn(performance, "now").mockReturnValue(now + ms);
  return () => spy.mockRestore();
}

test("while the process runs, however slowly, nothing is a standstill", () => {
  const standstills = watchStandstills();
  vi.advanceTimersByTime(60_000);
  expect(standstills.times).toEqual([]);
  expect(standstills.awakeMs()).toBe(60_000);
});

test("a time in which the process was stopped is one, and counts for nothing", () => {
  const standstills = watchStandstills();
  vi.advanceTimersByTime(10_000);
  const wake = sleep(120_000);
  expect(standstills.awakeMs()).toBe(10_000);
  expect(standstills.times).toEqual([{ fromMs: 10_000, toMs: 130_000 }]);
  wake();
});

test("a busy machine's late tick is none", () => {
  const standstills = watchStandstills();
  vi.advanceTimersByTime(1_000);
  const wake = sleep(4_900);
  expect(standstills.awakeMs()).toBe(5_900);
  expect(standstills.times).toEqual([]);
  wake();
});
