import { readdirSync, readFileSync } from "node:fs";

/** CPU time of a process with all its threads since its start, in microseconds, from Linux' /proc: finer than its 10 ms ticks. */
export function cpuTimeUs(pid: number): number {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).reduce((sum, thread) => sum + threadTimeUs(`${folder}/${thread}/schedstat`), 0);
}

function threadTimeUs(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").split(" ")[0]) / 1_000;
  } catch {
    // A thread that ended while the folder was read.
    return 0;
  }
}
