import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Launch, LaunchedProcess } from "../launched-process.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-launch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A shell script that serves as soon as it has made the file `ready`. */
function scripted(script: string, more: Partial<Launch> = {}): LaunchedProcess {
  return new LaunchedProcess({
    name: "script",
    command: "/bin/sh",
    args: ["-c", script],
    env: { PATH: "/usr/bin:/bin" },
    cwd: folder,
    logPath: join(folder, "logs", "script.log"),
    isReady: async () => existsSync(join(folder, "ready")),
    readyWithinMs: 5000,
    ...more,
  });
}

test("a process that ends before it serves fails the start, and the error shows its last words", async () => {
  const launched = scripted("echo the disk is full; exit 3");
  await expect(launched.start()).rejects.toThrow(/script ended with exit code 3.*the disk is full/s);
  expect(launched.pid).toBeUndefined();
});

test("a command that does not exist fails the start", async () => {
  const launched = scripted("", { command: "/nowhere/at-all" });
  await expect(launched.start()).rejects.toThrow("script ended with exit code 127");
});

test("a process that does not come to serve in time is killed", async () => {
  const launched = scripted("echo $$ > pid; sleep 60", { readyWithinMs: 300 });
  await expect(launched.start()).rejects.toThrow("script took over 300 ms");
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("a start is given up when its signal aborts", async () => {
  const launched = scripted("sleep 60");
  await expect(launched.start(AbortSignal.timeout(100))).rejects.toThrow("script was told to stop");
});

test("an orderly stop lets the process finish its work", async () => {
  const launched = scripted(
    "trap 'echo done > finished; exit 0' TERM; touch ready; while :; do sleep 0.05; done",
  );
  await launched.start();
  expect(await launched.stop()).toEqual({ code: 0, signal: null });
  expect(existsSync(join(folder, "finished"))).toBe(true);
});

test("a process that ignores its stop signal is killed with everything it started", async () => {
  const script =
    "trap '' TERM; (trap '' TERM; echo $$ > child; exec sleep 60) & echo $! > child; touch ready; wait; wait";
  const launched = scripted(script, { stopWithinMs: 200 });
  await launched.start();
  expect(await launched.stop()).toEqual({ code: null, signal: "SIGKILL" });
  const child = Number(readFileSync(join(folder, "child"), "utf8"));
  await expect.poll(() => isAlive(child)).toBe(false);
});

test("a process that was killed starts again, and each start and end is reported", async () => {
  const pids: (number | undefined)[] = [];
  const launched = scripted("touch ready; exec sleep 60", { onPid: (pid) => pids.push(pid) });
  await launched.start();
  expect(await launched.kill("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
  await launched.start();
  await launched.stop();
  expect(pids).toEqual([expect.any(Number), undefined, expect.any(Number), undefined]);
});

test("a start that fails for a moment is tried again where the launch allows it", async () => {
  const launched = scripted("[ -e tried ] || { touch tried; exit 1; }; touch ready; exec sleep 60", {
    startAgainWithinMs: 5000,
  });
  await launched.start();
  expect(launched.pid).toBeDefined();
  await launched.stop();
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
