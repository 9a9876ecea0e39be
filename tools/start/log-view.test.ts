import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogView, readable } from "./log-view.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-log-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("new lines of a log are shown behind the name of their process, old ones are not", () => {
  const shown: string[] = [];
  const path = join(folder, "orders.log");
  writeFileSync(path, "from yesterday\n");
  const view = new LogView((line) => shown.push(stripVTControlCharacters(line)));
  view.follow("orders", path);
  appendFileSync(path, "one\ntwo\nhalf a li");
  view.close();
  expect(shown).toEqual(["orders        | one", "orders        | two"]);
});

test("a log that does not exist yet is shown from its beginning", () => {
  const shown: string[] = [];
  const view = new LogView((line) => shown.push(line));
  view.follow("orders", join(folder, "later.log"));
  writeFileSync(join(folder, "later.log"), "first\n");
  view.close();
  expect(shown.map(stripVTControlCharacters)).toEqual(["orders        | first"]);
});

test("a JSON line becomes a sentence with its fields", () => {
  const line = {
    level: "warn",
    time: "2026-11-21T10:00:01.5Z",
    service: "orders",
    msg: "slow",
    tookMs: 12,
    order: "x",
  };
  expect(readable(JSON.stringify(line))).toBe("10:00:01 warn  slow tookMs=12 order=x");
});

test.each(["plain text", "{broken", '{"no":"message"}'])("%s stays as it is", (line) => {
  expect(readable(line)).toBe(line);
});
