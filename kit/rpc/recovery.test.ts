import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createRecovery, onRecovery } from "./recovery.ts";

const probeEveryMs = 500;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function anIllCallee() {
  const recovery = createRecovery(probeEveryMs);
  const failure = new Error("away");
  recovery.failed();
  recovery.mark(failure);
  const woken: string[] = [];
  const wait = (name: string) => onRecovery(failure, () => woken.push(name));
  return { recovery, woken, wait };
}

test("while a callee only fails, one of those who wait is sent ahead at a time, in turn", () => {
  const { recovery, woken, wait } = anIllCallee();
  for (const name of ["a", "b", "c"]) wait(name);
  vi.advanceTimersByTime(probeEveryMs - 1);
  expect(woken).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(woken).toEqual(["a"]);
  recovery.failed();
  wait("a again");
  vi.advanceTimersByTime(probeEveryMs * 3);
  expect(woken).toEqual(["a", "b", "c", "a again"]);
});

test("its first success wakes all who wait, once", () => {
  const { recovery, woken, wait } = anIllCallee();
  for (const name of ["a", "b", "c"]) wait(name);
  vi.advanceTimersByTime(probeEveryMs);
  recovery.succeeded();
  expect(woken).toEqual(["a", "b", "c"]);
  recovery.succeeded();
  vi.advanceTimersByTime(10 * probeEveryMs);
  expect(woken).toHaveLength(3);
});

test("a callee that fails now and then wakes nobody: its callers keep to their backoff", () => {
  const { recovery, woken, wait } = anIllCallee();
  wait("a");
  for (let turn = 0; turn < 20; turn += 1) {
    vi.advanceTimersByTime(100);
    recovery.succeeded();
    vi.advanceTimersByTime(100);
    recovery.failed();
  }
  recovery.succeeded();
  vi.advanceTimersByTime(10 * probeEveryMs);
  expect(woken).toEqual([]);
});

test("who comes to wait when the callee has returned meanwhile is woken at once; for what failed since, nobody is", () => {
  const { recovery, woken, wait } = anIllCallee();
  vi.advanceTimersByTime(probeEveryMs);
  recovery.succeeded();
  wait("late")();
  expect(woken).toEqual(["late"]);
  recovery.failed();
  const since = new Error("once more");
  recovery.mark(since);
  onRecovery(since, () => woken.push("since"))();
  expect(woken).toEqual(["late"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("who has stopped waiting is not woken, and when nobody waits nothing ticks", () => {
  const { recovery, woken, wait } = anIllCallee();
  const leave = wait("a");
  expect(vi.getTimerCount()).toBe(1);
  leave();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(probeEveryMs);
  recovery.succeeded();
  expect(woken).toEqual([]);
});

test("an error that came from no callee wakes nobody", () => {
  const wake = vi.fn();
  onRecovery(new Error("a bug"), wake)();
  onRecovery(undefined, wake)();
  vi.advanceTimersByTime(10 * probeEveryMs);
  expect(wake).not.toHaveBeenCalled();
});
