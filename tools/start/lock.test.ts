import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimLock } from "./lock.ts";
import { readProcessIdentity } from "./process-identity.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-lock-"));
  path = join(folder, "lock.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const claim = () => claimLock(path, (pid) => `held by ${pid}`);
const write = (holder: object) => writeFileSync(path, JSON.stringify(holder));

test("a lock is held by one process until it lets go", () => {
  const release = claim();
  expect(claim).toThrow(`held by ${process.pid}`);
  release();
  claim()();
});

test("the lock of a dead process is taken over", () => {
  write({ pid: 999_999_999, identity: "long ago" });
  claim()();
});

test("the lock of a process whose id now belongs to another one is taken over", () => {
  write({ pid: process.pid, identity: `${readProcessIdentity(process.pid)}-earlier` });
  claim()();
});

test("a lock that was written only in part is taken over", () => {
  writeFileSync(path, '{"pid":');
  claim()();
});
