import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startNats } from "./nats.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import type { Store, StoreOptions } from "./store.ts";

/** Postgres, NATS and Redis, running. */
export type StoreSet = {
  postgres: Store;
  nats: Store;
  redis: Store;
  /** Ends all three and waits until they are gone. */
  stop(): Promise<void>;
};

/** What a set of stores is started with. */
export type StoreSetOptions = {
  /** Each store gets a folder of its name in here, and a log beside it. */
  dataDir: string;
  /** Gets a line for the person who waits. */
  log: (line: string) => void;
  /** Ports of 127.0.0.1; free ones where unset. */
  ports?: { postgres: number; nats: number; redis: number };
};

const FREE_PORTS = { postgres: 0, nats: 0, redis: 0 };

/**
 * Starts the three stores side by side, for a test run: they end, and `dataDir` is removed, when the process that
 * started them dies, in whatever way. Rejects, with none left running, where one fails.
 */
export async function startStores({ dataDir, log, ports = FREE_PORTS }: StoreSetOptions): Promise<StoreSet> {
  mkdirSync(dataDir, { recursive: true });
  const guard = startGuard(dataDir);
  const optionsOf = (name: keyof typeof ports): StoreOptions => ({
    dataDir: join(dataDir, name),
    logPath: join(dataDir, `${name}.log`),
    port: ports[name],
    log,
    onPid: (pid) => guard.watch(name, pid),
  });
  const starting = await Promise.allSettled([
    startPostgres(optionsOf("postgres")),
    startNats(optionsOf("nats")),
    startRedis(optionsOf("redis")),
  ]);
  const stop = () => stopAll(starting, guard);
  const [postgres, nats, redis] = starting.map((result) =>
    result.status === "fulfilled" ? result.value : undefined,
  );
  if (postgres && nats && redis) return { postgres, nats, redis, stop };
  await stop();
  throw new AggregateError(reasonsOf(starting), reasonsOf(starting).map(String).join("\n"));
}

async function stopAll(starting: readonly PromiseSettledResult<Store>[], guard: Guard): Promise<void> {
  await Promise.all(
    starting.map((result) => (result.status === "fulfilled" ? result.value.stop() : undefined)),
  );
  await guard.dismiss();
}

function reasonsOf(results: readonly PromiseSettledResult<Store>[]): unknown[] {
  return results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
}

/** Ends processes when the one that started them dies. */
export type Guard = { watch(name: string, pid: number | undefined): void; dismiss(): Promise<void> };

/** A shell that outlives its parent by a moment: when its input ends it kills the processes it was told of last. */
const GUARD_SCRIPT =
  'while read -r line; do pids="$line"; done; [ "$pids" = dismissed ] && exit; kill -9 $pids; rm -rf "$1"';

/** Starts a guard: the processes it was told of last end, and `dataDir` is removed, when this process dies undismissed. */
export function startGuard(dataDir: string): Guard {
  const shell = spawn("sh", ["-c", GUARD_SCRIPT, "sh", dataDir], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const pids = new Map<string, number>();
  shell.unref();
  return {
    watch(name, pid) {
      if (pid === undefined) pids.delete(name);
      else pids.set(name, pid);
      shell.stdin.write(`${[...pids.values()].join(" ")}\n`);
    },
    dismiss: () => dismiss(shell),
  };
}

function dismiss(shell: ChildProcess): Promise<void> {
  shell.ref();
  return new Promise((resolve) => {
    shell.once("close", () => resolve());
    shell.stdin?.end("dismissed\n");
  });
}
