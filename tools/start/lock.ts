import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { readProcessIdentity } from "./process-identity.ts";

/** Who holds a folder. */
type Holder = { pid: number; identity: string };

const ATTEMPTS = 3;

/**
 * Claims a lock file for this process; a lock whose holder is dead is taken over. Resolves to what releases it. Throws
 * where another process holds it, with its id.
 */
export function claimLock(path: string, describe: (pid: number) => string): () => void {
  const mine: Holder = { pid: process.pid, identity: readProcessIdentity(process.pid) ?? "" };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    if (createLock(path, mine)) return () => releaseLock(path, mine);
    const holder = readHolder(path);
    if (holder && readProcessIdentity(holder.pid) === holder.identity) throw new Error(describe(holder.pid));
    rmSync(path, { force: true });
  }
  throw new Error(`The lock ${path} changes hands too quickly; start again`);
}

function createLock(path: string, holder: Holder): boolean {
  try {
    writeFileSync(path, JSON.stringify(holder), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function releaseLock(path: string, mine: Holder): void {
  if (readHolder(path)?.pid === mine.pid) rmSync(path, { force: true });
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
