import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBreaker } from "./breaker.ts";

const breakAfter = 3;
const probeEveryMs = 200;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function failing(times: number) {
  const breaker = createBreaker(breakAfter, probeEveryMs);
  for (let at = 0; at < times; at += 1) breaker.failed();
  return breaker;
}

test("a callee that has failed so many times in a row is left alone, but for one call each interval", () => {
  expect(failing(breakAfter - 1).admits()).toBe(true);
  const breaker = failing(breakAfter);
  expect(breaker.admits()).toBe(false);
  vi.advanceTimersByTime(probeEveryMs - 1);
  expect(breaker.admits()).toBe(false);
  vi.advanceTimersByTime(1);
  expect([breaker.admits(), breaker.admits()]).toEqual([true, false]);
});

test("a call sent ahead that is never answered keeps nobody from the next chance", () => {
  const breaker = failing(breakAfter);
  const sent = Array.from({ length: 5 }, () => {
    vi.advanceTimersByTime(probeEveryMs);
    return breaker.admits();
  });
  expect(sent).toEqual([true, true, true, true, true]);
});

test("a failure of the call sent ahead changes nothing, its success lets all through", () => {
  const breaker = failing(breakAfter);
  vi.advanceTimersByTime(probeEveryMs);
  expect(breaker.admits()).toBe(true);
  breaker.failed();
  expect(breaker.admits()).toBe(false);
  breaker.succeeded();
  expect([breaker.admits(), breaker.admits()]).toEqual([true, true]);
});

test("a success in between begins the count anew", () => {
  const breaker = failing(breakAfter - 1);
  breaker.succeeded();
  breaker.failed();
  expect(breaker.admits()).toBe(true);
});
