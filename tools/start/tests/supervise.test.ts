import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { killGroup } from "../../stores/launched-process.ts";
import { readProcessIdentity } from "../process-identity.ts";
import { readRunningProcesses } from "../process-records.ts";

const FIXTURE = join(import.meta.dirname, "small-shop.ts");
/** Notes in `order.txt` that it was asked to end. */
const noting = (name: string) => `trap 'echo ${name} >> order.txt; exit' TERM; while :; do sleep 0.02; done`;

let dataDir: string;
const supervisors: ChildProcess[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "souk-supervise-"));
});
afterEach(() => {
  // The supervisors first: they would start again what is ended here.
  for (const supervisor of supervisors.splice(0)) supervisor.kill("SIGKILL");
  for (const { pid } of running()) killGroup(pid, "SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

function running() {
  return readRunningProcesses(join(dataDir, "processes"));
}

function launch(storeScript = noting("store"), serviceScript = noting("service"), ...more: string[]) {
  const args = [FIXTURE, dataDir, storeScript, serviceScript, ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  supervisors.push(child);
  const output = { text: "" };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output.text += text));
  const exited = once(child, "exit");
  const says = (words: string | RegExp) => expect.poll(() => output.text, { timeout: 10_000 }).toMatch(words);
  return { child, output, exited, says };
}

test("Ctrl-C ends the service first and the store last, and leaves nothing behind", async () => {
  const shop = launch();
  await shop.says("ready");
  const pids = running().map(({ pid }) => pid);
  expect(pids).toHaveLength(2);
  shop.child.kill("SIGINT");
  expect(await shop.exited).toEqual([0, null]);
  expect(readFileSync(join(dataDir, "order.txt"), "utf8")).toBe("service\nstore\n");
  expect(pids.map(readProcessIdentity)).toEqual([undefined, undefined]);
  expect(existsSync(join(dataDir, "supervisor.json"))).toBe(false);
});

test("a signal to the supervisor's own process group does not reach what it runs", async () => {
  const shop = launch();
  await shop.says("ready");
  for (const { pid } of running()) {
    const group = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[2];
    expect(Number(group)).toBe(pid);
  }
});

test("a second Ctrl-C does not wait for a service that will not end", async () => {
  const shop = launch(noting("store"), "trap '' TERM; while :; do sleep 0.02; done");
  await shop.says("ready");
  shop.child.kill("SIGINT");
  await shop.says("Stopping");
  shop.child.kill("SIGINT");
  expect(await shop.exited).toEqual([0, null]);
  expect(running()).toEqual([]);
});

test("a Ctrl-C while it starts ends what has started", async () => {
  const shop = launch(noting("store"), "exit 1");
  await shop.says("service starts again");
  shop.child.kill("SIGTERM");
  expect(await shop.exited).toEqual([0, null]);
  expect(running()).toEqual([]);
});

test("what crashes starts again", async () => {
  const shop = launch();
  await shop.says("ready");
  const service = running().find(({ name }) => name === "service");
  process.kill(-(service?.pid ?? 0), "SIGKILL");
  await shop.says("service ended with signal SIGKILL");
  await shop.says("service serves again");
  const again = running().find(({ name }) => name === "service");
  expect(again?.pid).not.toBe(service?.pid);
});

test("after a SIGKILL of the supervisor the next start ends the orphans", async () => {
  const first = launch();
  await first.says("ready");
  const orphans = running();
  first.child.kill("SIGKILL");
  await first.exited;
  expect(running()).toEqual(orphans);
  const second = launch();
  await second.says(/Ended what an earlier run had left behind: .*service/);
  await second.says("ready");
  expect(orphans.map(({ pid }) => readProcessIdentity(pid))).toEqual([undefined, undefined]);
  expect(readFileSync(join(dataDir, "order.txt"), "utf8")).toBe("service\nstore\n");
});

test("a second start in one folder says who runs there, and disturbs nothing", async () => {
  const first = launch();
  await first.says("ready");
  const before = running();
  const second = launch();
  expect(await second.exited).toEqual([1, null]);
  expect(second.output.text).toContain(`A shop already runs in ${dataDir} (process ${first.child.pid})`);
  expect(running()).toEqual(before);
});

test("a fresh start removes the shop's data and nothing else", async () => {
  mkdirSync(join(dataDir, "postgres"));
  writeFileSync(join(dataDir, "secrets.json"), "{}");
  writeFileSync(join(dataDir, "thesis.txt"), "mine");
  const shop = launch(noting("store"), noting("service"), "fresh");
  await shop.says("ready");
  expect(existsSync(join(dataDir, "postgres"))).toBe(false);
  expect(existsSync(join(dataDir, "secrets.json"))).toBe(false);
  expect(readFileSync(join(dataDir, "thesis.txt"), "utf8")).toBe("mine");
});
