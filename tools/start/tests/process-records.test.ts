import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endOrphans, readRunningProcesses, recordProcess } from "../process-records.ts";

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-records-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Starts a shell that says when it is set up, and records it. */
async function recorded(
  name: string,
  rank: number,
  script = "echo up; exec sleep 60",
): Promise<ChildProcess> {
  const child = spawn("/bin/sh", ["-c", script], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  await once(child.stdout, "data");
  recordProcess(folder, { name, pid: child.pid, stopSignal: "SIGTERM", rank });
  return child;
}

test("orphans are ended, what uses a thing before the thing", async () => {
  const log = `${folder}-order.txt`;
  const noting = (name: string) =>
    `trap 'echo ${name} >> ${log}; exit' TERM; echo up; while :; do sleep 0.02; done`;
  await recorded("store", 0, noting("store"));
  await recorded("gateway", 3, noting("gateway"));
  await recorded("service", 2, noting("service"));
  const ended = await endOrphans(folder);
  expect(ended.map(({ name }) => name).sort()).toEqual(["gateway", "service", "store"]);
  expect(readFileSync(log, "utf8")).toBe("gateway\nservice\nstore\n");
  rmSync(log);
}, 20_000);

test("a process that has the id of a recorded one, but is another, is left alone", async () => {
  const child = await recorded("orders", 2);
  const path = join(folder, "orders.json");
  const record = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...record, identity: `${record.identity}0` }));
  expect(await endOrphans(folder)).toEqual([]);
  expect(child.exitCode ?? child.signalCode).toBeNull();
  expect(readdirSync(folder)).toEqual([]);
});

test("a record lasts as long as its process", async () => {
  const child = await recorded("orders", 2);
  expect(readRunningProcesses(folder)).toMatchObject([{ name: "orders", pid: child.pid, rank: 2 }]);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(readRunningProcesses(folder)).toEqual([]);
  recordProcess(folder, { name: "orders", pid: undefined, stopSignal: "SIGTERM", rank: 2 });
  expect(readdirSync(folder)).toEqual([]);
});
