import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { testEnvironment } from "#kit/testing/testing.ts";
import type { Parts } from "#kit/testing/tests/parts.ts";

/** A relay that runs as a process. */
export interface RelayChild {
  /** Names its sessions to the server. */
  readonly name: string;
  /** Sends a signal; with one that ends the process, waits until it is gone. */
  signal(signal: NodeJS.Signals): Promise<void>;
}

const main = fileURLToPath(new URL("relay-process.ts", import.meta.url));

/** Starts a relay on the database of a test. */
export async function startRelayChild({ database }: Parts, name: string): Promise<RelayChild> {
  const child: ChildProcess = spawn(process.execPath, [main], {
    env: { DATABASE_URL: database.appUrl, NATS_URL: testEnvironment().natsUrl, PGAPPNAME: name },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, "data"),
    ended.then(() => Promise.reject(new Error("the relay ended before it had started"))),
  ]);
  child.stdout?.resume();
  return {
    name,
    async signal(signal) {
      child.kill(signal);
      if (signal === "SIGKILL" || signal === "SIGTERM") await ended;
    },
  };
}

const selectHolders = `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
                        where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and a.datname = current_database()`;

/** Which of the processes holds the relay lock. */
export async function holderOf(parts: Parts, children: readonly RelayChild[]): Promise<RelayChild> {
  const [holder, ...others] = await parts.asOwner(selectHolders);
  expect(others).toEqual([]);
  const found = children.find(({ name }) => name === holder?.name);
  if (!found) throw new Error("nobody holds the relay lock");
  return found;
}
