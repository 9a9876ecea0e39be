import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { drawFacts, drawJson, drawTable, drawTime } from "./words.ts";

const columns = { Name: ({ name }: { name: string }) => name };

test("a row stays one line and cannot steer the terminal, whatever is in it", () => {
  const table = drawTable(columns, [{ name: "a\n\u001b[2Jb" }, { name: "x".repeat(100) }], "");
  expect(table).toContain("a [2Jb");
  expect(table).not.toContain("\u001b");
  expect(table).toContain(`${"x".repeat(59)}…`);
});

test("a table without rows is a sentence", () => {
  expect(drawTable(columns, [], "Nothing.")).toBe("Nothing.");
});

test("facts stand below one another, without those that are none and without what could steer the terminal", () => {
  expect(drawFacts({ a: "1", long: 0n, none: "", text: "two\nlines\u001b[2J" })).toBe(
    "a     1\nlong  0\ntext  two lines [2J",
  );
});

test("times are in UTC, to the second", () => {
  expect(drawTime(timestampFromDate(new Date("2026-11-21T13:12:07.890Z")))).toBe("2026-11-21T13:12:07Z");
  expect(drawTime(undefined)).toBe("");
});

test("JSON is spread over lines; what is none stays what it is", () => {
  expect(drawJson('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(drawJson("")).toBe("");
});
