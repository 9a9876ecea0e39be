// The shop as real processes: the table of `npm start`, on a block of ports and a folder of their own.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { BLOCK_SIZE, type PortName, type Ports, portsFrom } from "../tools/start/ports.ts";
import { databaseEnv, PROCESSES, type ProcessEntry, RANK, urlOf } from "../tools/start/processes.ts";
import { readSecrets, type Secrets } from "../tools/start/secrets.ts";
import { SERVICE_NAMES } from "../tools/start/service-names.ts";
import { Supervisor } from "../tools/start/supervisor.ts";
import { createDatabases, type DatabaseAccess } from "../tools/stores/databases.ts";
import { findFreeBlock } from "../tools/stores/free-port.ts";
import { LaunchedProcess } from "../tools/stores/launched-process.ts";
import { type StoreSet, startGuard, startStores } from "../tools/stores/store-set.ts";

/** Variables beside or instead of those that `npm start` sets, by the process' name. */
export type ExtraEnv = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Everything that runs. */
export interface Processes {
  readonly folder: string;
  readonly ports: Ports;
  readonly secrets: Secrets;
  readonly stores: StoreSet;
  readonly databases: Readonly<Record<string, DatabaseAccess>>;
  /** By name: `orders`, `gateway`, `carrier`. Whoever dies is started again. */
  readonly byName: ReadonlyMap<string, LaunchedProcess>;
  /** Starts one more process of an entry of the table, on the ports given. */
  startAnother(name: string, ports: Partial<Ports>, env: Readonly<Record<string, string>>): Promise<void>;
  /** Stops services first and stores last, and removes the folder. */
  stop(): Promise<void>;
}

const repository = resolve(import.meta.dirname, "..");
/** Kept between runs: stripping the types of every module anew would take longer than everything else. */
export const compileCacheDir = join(repository, "node_modules/.cache/souk-journeys");
const readyWithinMs = 30_000;
const stopWithinMs = 15_000;
/** Whoever does not come up once need not be tried for long. */
const whileOpening = { maxCrashes: 1, windowMs: 60_000, firstDelayMs: 20, maxDelayMs: 20 };
/** A journey may kill a service many times a minute. */
const onceOpen = { maxCrashes: 100 };

/** Starts a whole shop. Rejects, with nothing left running, where one process does not come up. */
export async function startProcesses(extraEnv: ExtraEnv): Promise<Processes> {
  const folder = mkdtempSync(join(tmpdir(), "souk-journey-"));
  const policy = { ...whileOpening };
  const parts = {
    folder,
    ports: portsFrom(await findFreeBlock(BLOCK_SIZE)),
    secrets: readSecrets(join(folder, "secrets.json")),
    supervisor: new Supervisor(() => undefined, policy),
    guard: startGuard(folder),
    byName: new Map<string, LaunchedProcess>(),
    extraEnv,
  };
  const openStores: StoreSet[] = [];
  const stop = async () => {
    await parts.supervisor.stop();
    for (const stores of openStores) await stores.stop();
    await parts.guard.dismiss();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const started = await startAll(parts, openStores);
    Object.assign(policy, onceOpen);
    return { ...started, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Parts {
  readonly folder: string;
  readonly ports: Ports;
  readonly secrets: Secrets;
  readonly supervisor: Supervisor;
  readonly guard: ReturnType<typeof startGuard>;
  readonly byName: Map<string, LaunchedProcess>;
  readonly extraEnv: ExtraEnv;
}

async function startAll(parts: Parts, openStores: StoreSet[]) {
  const { folder, ports, secrets, byName } = parts;
  const ofRank = (test: (rank: number) => boolean) => PROCESSES.filter(({ rank }) => test(rank));
  const standIns = ofRank((rank) => rank === RANK.standIn).map((entry) => keep(parts, entry, {}));
  const stores = await startStores({ dataDir: join(folder, "stores"), ports, log: () => undefined });
  openStores.push(stores);
  const databases = await createDatabases(stores.postgres.url, SERVICE_NAMES, join(folder, "passwords.json"));
  const databaseOf = (name: string) => (databases[name] ? databaseEnv(databases[name]) : {});
  const services = ofRank((rank) => rank > RANK.standIn).map((entry) =>
    keep(parts, entry, databaseOf(entry.name)),
  );
  await Promise.all([...standIns, ...services]);
  const startAnother: Processes["startAnother"] = (name, otherPorts, env) => {
    const entry = PROCESSES.find((one) => one.name === name);
    if (!entry) throw new Error(`there is no process ${name}`);
    const other = { ...parts, ports: { ...ports, ...otherPorts }, byName: new Map() };
    return keep(other, entry, { ...databaseOf(name), ...env });
  };
  return { folder, ports, secrets, stores, databases, byName, startAnother };
}

function keep(parts: Parts, entry: ProcessEntry, env: Readonly<Record<string, string>>): Promise<void> {
  const { folder, ports, secrets, supervisor, guard, byName, extraEnv } = parts;
  const { name, main, rank, readiness } = entry;
  for (const path of [compileCacheDir, failpointsOf(folder)]) mkdirSync(path, { recursive: true });
  const place = { HOST: "127.0.0.1", PORT: `${ports[entry.port]}`, PATH: process.env.PATH };
  const settings = { ports, secrets, dataDir: (of: string) => join(folder, of) };
  const launched = new LaunchedProcess({
    name,
    command: process.execPath,
    args: [main],
    cwd: repository,
    env: {
      ...place,
      NODE_COMPILE_CACHE: compileCacheDir,
      ENVIRONMENT: "test",
      FAILPOINTS_DIR: failpointsOf(folder),
      ...entry.env(settings),
      ...extraEnv[name],
      ...env,
    },
    logPath: logPathOf(folder, name),
    isReady: (signal) => isReady(ports, readiness, signal),
    readyWithinMs,
    stopWithinMs,
    onPid: (pid) => guard.watch(`${name}:${ports[entry.port]}`, pid),
  });
  byName.set(name, launched);
  return supervisor.keep(launched, rank);
}

/** Where the places that FAILPOINTS names leave their marks. */
export const failpointsOf = (folder: string) => join(folder, "failpoints");

/** Where a process' output is. */
export const logPathOf = (folder: string, name: string) => join(folder, "logs", `${name}.log`);

async function isReady(ports: Ports, { port, path }: { port: PortName; path: string }, signal: AbortSignal) {
  return (await fetch(`${urlOf(ports[port])}${path}`, { signal })).ok;
}
