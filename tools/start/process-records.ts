// Which processes a supervisor started: a file for each while it runs, so that the next supervisor can end what a killed
// one left behind, and `npm run top` knows whom to measure.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { killGroup } from "../stores/launched-process.ts";
import { readProcessIdentity } from "./process-identity.ts";

/** One running process of a shop. */
export type ProcessRecord = {
  name: string;
  pid: number;
  identity: string;
  /** What asks it for an orderly end. */
  stopSignal: NodeJS.Signals;
  /** Higher ranks end before lower ones: what uses a thing ends before the thing. */
  rank: number;
};

const ORPHAN_STOP_WITHIN_MS = 8000;
const POLL_MS = 20;

/** Writes or, without a pid, removes the record of a process. */
export function recordProcess(
  directory: string,
  { name, pid, stopSignal, rank }: Omit<ProcessRecord, "pid" | "identity"> & { pid: number | undefined },
): void {
  const path = join(directory, `${name}.json`);
  const identity = pid === undefined ? undefined : readProcessIdentity(pid);
  if (pid === undefined || identity === undefined) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(directory, { recursive: true });
  const record: ProcessRecord = { name, pid, identity, stopSignal, rank };
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
}

/** Reads the records whose process still is the one that was recorded. */
export function readRunningProcesses(directory: string): ProcessRecord[] {
  return readRecords(directory).filter(isRunning);
}

/** Ends recorded processes that still run, highest rank first, and removes all records; resolves to whom it ended. */
export async function endOrphans(directory: string): Promise<ProcessRecord[]> {
  const orphans = readRunningProcesses(directory);
  const ranks = [...new Set(orphans.map(({ rank }) => rank))].sort((a, b) => b - a);
  for (const rank of ranks) {
    await Promise.all(orphans.filter((orphan) => orphan.rank === rank).map(endOrphan));
  }
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return orphans;
}

async function endOrphan(record: ProcessRecord): Promise<void> {
  signalOne(record.pid, record.stopSignal);
  const deadline = Date.now() + ORPHAN_STOP_WITHIN_MS;
  while (isRunning(record) && Date.now() < deadline) await delay(POLL_MS);
  // Also what is left of its group; each process leads its own.
  killGroup(record.pid, "SIGKILL");
  while (isRunning(record) && Date.now() < deadline + ORPHAN_STOP_WITHIN_MS) await delay(POLL_MS);
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function isRunning({ pid, identity }: ProcessRecord): boolean {
  return readProcessIdentity(pid) === identity;
}

function readRecords(directory: string): ProcessRecord[] {
  return listFiles(directory)
    .filter((file) => file.endsWith(".json"))
    .flatMap((file) => readRecord(join(directory, file)));
}

/** A record can vanish between listing and reading: its process has just ended. */
function readRecord(path: string): ProcessRecord[] {
  try {
    return [JSON.parse(readFileSync(path, "utf8"))];
  } catch {
    return [];
  }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
