import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { differencesBetween } from "./generated.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-gen-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function folderOf(name: string, files: Record<string, string>): string {
  const path = join(folder, name);
  mkdirSync(join(path, "souk"), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

test("code that was edited, forgotten or left behind is named; the rest is not", () => {
  const committed = folderOf("committed", {
    "souk/a_pb.ts": "1",
    "souk/b_pb.ts": "2",
    "souk/old_pb.ts": "3",
  });
  const generated = folderOf("generated", {
    "souk/a_pb.ts": "1",
    "souk/b_pb.ts": "4",
    "souk/new_pb.ts": "5",
  });
  expect(differencesBetween(committed, generated)).toEqual([
    "souk/b_pb.ts differs",
    "souk/new_pb.ts is generated, but not committed",
    "souk/old_pb.ts is committed, but not generated",
  ]);
});
