// Starts the whole shop under a supervisor: stores and stand-ins side by side, then the services side by side, then the
// seed; it is ready when an order could really be confirmed.

import { renameSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { createDatabases, type DatabaseAccess } from "../stores/databases.ts";
import { isPortFree } from "../stores/free-port.ts";
import { type Launch, LaunchedProcess } from "../stores/launched-process.ts";
import { prepareNats } from "../stores/nats.ts";
import { preparePostgres } from "../stores/postgres.ts";
import { prepareRedis } from "../stores/redis.ts";
import { portTaken, type Store, type StoreOptions } from "../stores/store.ts";
import type { LogView } from "./log-view.ts";
import type { Ports } from "./ports.ts";
import { recordProcess } from "./process-records.ts";
import { databaseEnv, PROCESSES, type ProcessEntry, RANK, type ShopSettings, urlOf } from "./processes.ts";
import { readSecrets } from "./secrets.ts";
import { SERVICE_NAMES } from "./service-names.ts";
import type { ShopFolder } from "./shop-folder.ts";
import type { Supervisor } from "./supervisor.ts";

/** The parts a shop is started from. */
export type ShopParts = {
  folder: ShopFolder;
  ports: Ports;
  supervisor: Supervisor;
  logView: LogView;
  say: (line: string) => void;
};

const REPOSITORY = resolve(import.meta.dirname, "../..");
const READY_WITHIN_MS = 60_000;
/** Longer than the services' own drain of 10 s. */
const STOP_WITHIN_MS = 15_000;
/**
 * Room for young objects, in MB. What an order touches outlives a small one, so that collecting takes a tenth of a busy process'
 * time; a large one costs memory wherever seeding has filled it once.
 */
const YOUNG_MB: Readonly<Record<string, number>> = {
  orders: 24,
  payments: 16,
  gateway: 16,
  shipping: 8,
  inventory: 8,
  catalog: 8,
};
const USUAL_YOUNG_MB = 4;
const MAX_LOG_BYTES = 20_000_000;

const PREPARE_STORE = { postgres: preparePostgres, nats: prepareNats, redis: prepareRedis };

/** Starts everything; resolves when all processes are ready. Rejects where one is not, or its port is taken. */
export async function startShop(parts: ShopParts): Promise<ShopSettings> {
  const { folder, ports, supervisor } = parts;
  for (const [name, port] of Object.entries(ports)) {
    if (!(await isPortFree(port))) throw portTaken(name, port);
  }
  const settings: ShopSettings = { ports, secrets: readSecrets(folder.secretsPath), dataDir: folder.dataDir };
  const inRank = (test: (rank: number) => boolean) => PROCESSES.filter(({ rank }) => test(rank));
  const keep = (entry: ProcessEntry, env: Record<string, string>) =>
    supervisor.keep(
      new LaunchedProcess(processLaunch(parts, entry, { ...entry.env(settings), ...env })),
      entry.rank,
    );
  const standIns = inRank((rank) => rank === RANK.standIn).map((entry) => keep(entry, {}));
  const [databases] = await Promise.all([
    startDatabases(parts),
    startStore(parts, "nats"),
    startStore(parts, "redis"),
  ]);
  const services = inRank((rank) => rank > RANK.standIn).map((entry) =>
    keep(entry, accessOf(databases, entry)),
  );
  await Promise.all([...standIns, ...services]);
  return settings;
}

async function startDatabases(parts: ShopParts): Promise<Record<string, DatabaseAccess>> {
  const { url } = await startStore(parts, "postgres");
  return createDatabases(url, SERVICE_NAMES, parts.folder.databasePasswordsPath);
}

async function startStore(parts: ShopParts, name: keyof typeof PREPARE_STORE): Promise<Store> {
  const { folder, ports, supervisor, say } = parts;
  const options: StoreOptions = {
    dataDir: folder.dataDir(name),
    port: ports[name],
    logPath: turnedLog(folder, name),
    log: say,
    onPid: recorder(folder, name, RANK.store, name === "postgres" ? "SIGINT" : "SIGTERM"),
  };
  const store = await PREPARE_STORE[name](options);
  supervisor.stopping.throwIfAborted();
  await supervisor.keep(store, RANK.store);
  return store;
}

function accessOf(databases: Record<string, DatabaseAccess>, { name }: ProcessEntry): Record<string, string> {
  const access = databases[name];
  return access ? databaseEnv(access) : {};
}

function processLaunch(
  { folder, ports, logView }: ShopParts,
  entry: ProcessEntry,
  env: Record<string, string>,
): Launch {
  const { name, main, rank, readiness } = entry;
  const logPath = turnedLog(folder, name);
  logView.follow(name, logPath);
  const place = {
    HOST: "127.0.0.1",
    PORT: `${ports[entry.port]}`,
    NODE_COMPILE_CACHE: folder.compileCacheDir,
  };
  return {
    name,
    command: process.execPath,
    args: [`--max-semi-space-size=${YOUNG_MB[name] ?? USUAL_YOUNG_MB}`, main],
    cwd: REPOSITORY,
    env: { ...inheritedEnv(), ...place, ...env },
    logPath,
    isReady: async (signal) =>
      (await fetch(`${urlOf(ports[readiness.port])}${readiness.path}`, { signal })).ok,
    readyWithinMs: READY_WITHIN_MS,
    stopWithinMs: STOP_WITHIN_MS,
    onPid: recorder(folder, name, rank, "SIGTERM"),
  };
}

function recorder({ processesDir }: ShopFolder, name: string, rank: number, stopSignal: NodeJS.Signals) {
  return (pid: number | undefined) => recordProcess(processesDir, { name, pid, rank, stopSignal });
}

/** Variables of the person who started the shop reach the services; npm's own are of no use to them. */
function inheritedEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
}

/** The path of a log; one that has grown large is put aside first. */
function turnedLog(folder: ShopFolder, name: string): string {
  const path = folder.logPath(name);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  return path;
}
