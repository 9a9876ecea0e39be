import { expect, test } from "vitest";
import { createPace } from "./pace.ts";

test("pages take turns, one at a time, those of one run too", async () => {
  const pace = createPace();
  const { signal } = new AbortController();
  const seen: string[] = [];
  const page = (name: string) => async () => {
    seen.push(`${name} begins`);
    await new Promise(setImmediate);
    seen.push(`${name} ends`);
  };
  await Promise.all([pace(page("a"), signal), pace(page("b"), signal), pace(page("c"), signal)]);
  expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("the next page waits four times as long as the one before took, also where that failed", async () => {
  const pace = createPace();
  const { signal } = new AbortController();
  const failing = pace(async () => {
    await new Promise((resolve) => setTimeout(resolve, 25));
    throw new Error("the other side is away");
  }, signal);
  const next = pace(async () => performance.now(), signal);
  await expect(failing).rejects.toThrow("the other side is away");
  const failedAt = performance.now();
  expect((await next) - failedAt).toBeGreaterThan(90);
});

test("whoever is waiting for a turn has it when the process stops", async () => {
  const pace = createPace();
  const stopping = new AbortController();
  await pace(() => new Promise((resolve) => setTimeout(resolve, 200)), stopping.signal);
  const next = pace(async () => performance.now(), stopping.signal);
  const stoppedAt = performance.now();
  stopping.abort();
  expect((await next) - stoppedAt).toBeLessThan(400);
});
