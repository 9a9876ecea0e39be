// A process id alone proves nothing: the system gives it to somebody else later. Id and start time together do.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Tells which run of which process an id stands for now: a text that is equal for the same process and never for
 * another, also over a restart of the machine. `undefined` where no such process runs (a zombie does not).
 */
export function readProcessIdentity(pid: number): string | undefined {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

function fromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command stands in brackets and may hold spaces: the fixed fields begin after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[STATE_FIELD] === "Z") return undefined;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}:${fields[START_TIME_FIELD]}`;
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", `${pid}`], { encoding: "utf8" }).trim();
    const [state = "", ...started] = line.split(/\s+/);
    return state.startsWith("Z") || started.length === 0 ? undefined : started.join(" ");
  } catch {
    return undefined;
  }
}
