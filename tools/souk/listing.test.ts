import { expect, test } from "vitest";
import { type Page, readPages } from "./listing.ts";

/** A list of so many numbers. */
const listOf =
  (count: number, sizes: number[] = []) =>
  async ({ pageSize, pageToken }: { pageSize: number; pageToken: string }): Promise<Page<number>> => {
    sizes.push(pageSize);
    const from = Number(pageToken);
    const entries = Array.from({ length: Math.min(pageSize, count - from) }, (_, index) => from + index);
    const next = from + entries.length;
    return { entries, nextPageToken: next < count ? String(next) : "" };
  };

test("pages are read until there are enough entries", async () => {
  const sizes: number[] = [];
  expect(await readPages(250, listOf(1_000, sizes))).toHaveLength(250);
  expect(sizes).toEqual([100, 100, 50]);
});

test("the last page ends the list", async () => {
  expect(await readPages(1_000, listOf(150))).toHaveLength(150);
  expect(await readPages(10, listOf(0))).toEqual([]);
});
