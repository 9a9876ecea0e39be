import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BackendHealth } from "./backend-health.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function failing(times: number): BackendHealth {
  const health = new BackendHealth();
  for (let at = 0; at < times; at++) health.failed();
  return health;
}

test("a backend that fails twenty times in a row is left alone for a tenth of a second, then asked once", () => {
  expect(failing(19).admits()).toBe(true);
  const health = failing(20);
  expect([health.admits(), health.restsMs]).toEqual([false, 100]);
  vi.advanceTimersByTime(99);
  expect(health.admits()).toBe(false);
  vi.advanceTimersByTime(1);
  expect([health.admits(), health.admits()]).toEqual([true, false]);
});

test("its first success lets all calls through again", () => {
  const health = failing(25);
  health.succeeded();
  expect([health.admits(), health.admits(), health.restsMs]).toEqual([true, true, 0]);
});

test("a failure after the one sent ahead keeps it at rest", () => {
  const health = failing(20);
  vi.advanceTimersByTime(100);
  expect(health.admits()).toBe(true);
  health.failed();
  vi.advanceTimersByTime(99);
  expect(health.admits()).toBe(false);
});

test("retries are few: ten at hand, then one for ten successes", () => {
  const health = new BackendHealth();
  const taken = Array.from({ length: 12 }, () => health.takeRetry());
  expect(taken.filter(Boolean)).toHaveLength(10);
  for (let at = 0; at < 9; at++) health.succeeded();
  expect(health.takeRetry()).toBe(false);
  for (let at = 0; at < 2; at++) health.succeeded();
  expect([health.takeRetry(), health.takeRetry()]).toEqual([true, false]);
});
