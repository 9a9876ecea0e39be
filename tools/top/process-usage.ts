// CPU and memory of a process together with everything it started: Postgres is one process per connection.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** What a process and its descendants have used. */
export type Usage = {
  /** CPU time since the start, in milliseconds. */
  cpuMs: number;
  /** Proportional set size where the system tells it, so that shared pages count once; else resident. */
  memoryBytes: number;
};

type Entry = {
  pid: number;
  parent: number;
  cpuMs: number;
  /** CPU time of children that have ended. */
  endedChildrenCpuMs: number;
  memoryBytes: () => number;
};

/** Linux counts in hundredths of a second, whatever the kernel's own tick. */
const TICK_MS = 10;
const FIELDS = {
  parent: 1,
  userTicks: 11,
  systemTicks: 12,
  childUserTicks: 13,
  childSystemTicks: 14,
  residentPages: 21,
};
const PAGE_BYTES = 4096;
const KIB = 1024;

/**
 * Measures each of the processes; those that have ended are left out. One that is named itself does not count for the
 * process that started it.
 */
export function readUsages(pids: readonly number[]): Map<number, Usage> {
  const entries = process.platform === "linux" ? readProc() : readPs();
  const byPid = new Map(entries.map((entry) => [entry.pid, entry]));
  const named = new Set(pids);
  const children = Map.groupBy(
    entries.filter(({ pid }) => !named.has(pid)),
    ({ parent }) => parent,
  );
  const usages = new Map<number, Usage>();
  for (const pid of pids) {
    const root = byPid.get(pid);
    if (root) usages.set(pid, addUp(root, children));
  }
  return usages;
}

function addUp(root: Entry, children: ReadonlyMap<number, readonly Entry[]>): Usage {
  const family = [root];
  // The list grows while it is walked: each member brings its own children. Parents are a tree, so this ends.
  for (const member of family) family.push(...(children.get(member.pid) ?? []));
  return {
    // A child's time moves to its parent when it ends: without that part the sum would fall.
    cpuMs: family.reduce((sum, member) => sum + member.cpuMs, root.endedChildrenCpuMs),
    memoryBytes: family.reduce((sum, member) => sum + member.memoryBytes(), 0),
  };
}

function readProc(): Entry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcEntry(Number(name)));
}

function readProcEntry(pid: number): Entry[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const field = (name: keyof typeof FIELDS) => fields[FIELDS[name]] ?? 0;
    return [
      {
        pid,
        parent: field("parent"),
        cpuMs: (field("userTicks") + field("systemTicks")) * TICK_MS,
        endedChildrenCpuMs: (field("childUserTicks") + field("childSystemTicks")) * TICK_MS,
        memoryBytes: () => readProportionalBytes(pid) ?? field("residentPages") * PAGE_BYTES,
      },
    ];
  } catch {
    return [];
  }
}

function readProportionalBytes(pid: number): number | undefined {
  try {
    const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * KIB;
  } catch {
    return undefined;
  }
}

function readPs(): Entry[] {
  const output = execFileSync("ps", ["-A", "-o", "pid=,ppid=,rss=,time="], { encoding: "utf8" });
  return output.split("\n").flatMap((line) => {
    const [pid = "", parent = "", kib = "", time = ""] = line.trim().split(/\s+/);
    if (time === "") return [];
    const memoryBytes = () => Number(kib) * KIB;
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        cpuMs: cpuTimeMs(time),
        endedChildrenCpuMs: 0,
        memoryBytes,
      },
    ];
  });
}

/** Reads `ps`' `[[days-]hours:]minutes:seconds`. */
function cpuTimeMs(text: string): number {
  const [clock = "", days = "0"] = text.split("-").reverse();
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return (Number(days) * 86_400 + seconds) * 1000;
}
