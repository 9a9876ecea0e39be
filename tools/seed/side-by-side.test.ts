import { expect, test } from "vitest";
import { runSideBySide } from "./side-by-side.ts";

test("so many items are under way at once, and all are done", async () => {
  const done: number[] = [];
  let underWay = 0;
  let most = 0;
  await runSideBySide([5, 6, 7, 8, 9], 2, async (item, index) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise(setImmediate);
    underWay -= 1;
    done.push(item * 10 + index);
  });
  expect(done.sort()).toEqual([50, 61, 72, 83, 94]);
  expect(most).toBe(2);
});

test("after a failure no further item is begun", async () => {
  const begun: number[] = [];
  const work = async (item: number) => {
    begun.push(item);
    await new Promise(setImmediate);
    if (item === 1) throw new Error("refused");
  };
  await expect(runSideBySide([1, 2, 3, 4, 5, 6], 2, work)).rejects.toThrow("refused");
  await new Promise(setImmediate);
  expect(begun).toEqual([1, 2]);
});
