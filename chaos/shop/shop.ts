// A shop of its own: stores, stand-ins for the outside world, two replicas of each service, and links between all of them.

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ShopSettings, urlOf } from "../../tools/start/processes.ts";
import { readSecrets, type Secrets } from "../../tools/start/secrets.ts";
import { Supervisor } from "../../tools/start/supervisor.ts";
import { createDatabases } from "../../tools/stores/databases.ts";
import { type StoreSet, startGuard, startStores } from "../../tools/stores/store-set.ts";
import { type Link, openLink } from "../links/link.ts";
import { pause } from "../pause.ts";
import { createRandom } from "../random.ts";
import { linkedPorts, type ProcessPlan, planReplica, planStandIn } from "./environment.ts";
import {
  type ChaosPorts,
  DATABASE_NAMES,
  findPorts,
  LINK_NAMES,
  portOf,
  REPLICAS,
  REPLICATED,
  replicaName,
  WEBHOOKS,
} from "./ports.ts";
import { type SurprisingEnd, WatchedProcess } from "./watched-process.ts";

/** How a shop is started. */
export interface ShopOptions {
  /** Gets everything: data, logs, secrets. */
  readonly folder: string;
  readonly seed: number;
  /** A planted bug that the services are to have. */
  readonly planted?: string | undefined;
}

/** A running shop that can be hurt. */
export interface ChaosShop {
  readonly folder: string;
  readonly ports: ChaosPorts;
  readonly secrets: Secrets;
  readonly stores: StoreSet;
  readonly links: ReadonlyMap<string, Link>;
  /** By name: `orders-1`. Whoever dies is started again at once. */
  readonly replicas: ReadonlyMap<string, WatchedProcess>;
  /** Processes that ended although nobody had told them to. */
  readonly surprises: readonly SurprisingEnd[];
  /** Ends all replicas in order, and waits until each serves again. */
  restartAll(): Promise<void>;
  stop(): Promise<void>;
}

const repository = resolve(import.meta.dirname, "../..");
/** Kept between runs: stripping the types of every module anew would take longer than everything else. */
const compileCacheDir = join(repository, "node_modules/.cache/souk-chaos");
const readyWithinMs = 90_000;
const stopWithinMs = 15_000;
/** Killed as often as the schedule says, and always back at once. */
const policy = { maxCrashes: 1_000_000, windowMs: 1_000, firstDelayMs: 20, maxDelayMs: 250 };
const servingWithinMs = 120_000;
const servingPollMs = 20;

/** Starts everything. Rejects, with nothing left running, where one part does not come up. */
export async function startShop(options: ShopOptions): Promise<ChaosShop> {
  const { folder, seed } = options;
  for (const path of [folder, compileCacheDir, join(folder, "failpoints")])
    mkdirSync(path, { recursive: true });
  const ports = await findPorts();
  const parts: Parts = {
    ...options,
    ports,
    secrets: readSecrets(join(folder, "secrets.json")),
    supervisor: new Supervisor(() => undefined, policy),
    guard: startGuard(folder),
    replicas: new Map(),
    surprises: [],
  };
  const opened = new AsyncDisposableStack();
  opened.defer(() => parts.guard.dismiss());
  try {
    const stores = await startAll(parts, opened);
    const links = await openLinks(ports, seed);
    for (const link of links.values()) opened.defer(() => link.close());
    await startProcesses(parts, stores, opened);
    const { secrets, replicas, surprises } = parts;
    const stop = () => opened.disposeAsync();
    return {
      folder,
      ports,
      secrets,
      stores,
      links,
      replicas,
      surprises,
      restartAll: () => restartAll(parts),
      stop,
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

interface Parts extends ShopOptions {
  readonly ports: ChaosPorts;
  readonly secrets: Secrets;
  readonly supervisor: Supervisor;
  readonly guard: ReturnType<typeof startGuard>;
  readonly replicas: Map<string, WatchedProcess>;
  readonly surprises: SurprisingEnd[];
}

async function startAll({ folder, ports }: Parts, opened: AsyncDisposableStack): Promise<StoreSet> {
  const [postgres, nats, redis] = ["postgres", "nats", "redis"].map((name) => portOf(ports, name));
  const stores = await startStores({
    dataDir: join(folder, "stores"),
    ports: { postgres: postgres ?? 0, nats: nats ?? 0, redis: redis ?? 0 },
    log: () => undefined,
  });
  opened.defer(() => stores.stop());
  return stores;
}

async function openLinks(ports: ChaosPorts, seed: number): Promise<Map<string, Link>> {
  const random = createRandom(seed, "links").next;
  const links = new Map<string, Link>();
  for (const name of LINK_NAMES) {
    const port = portOf(ports, `link:${name}`);
    links.set(name, await openLink({ name, port, targets: targetsOf(name, ports), random }));
  }
  return links;
}

function targetsOf(link: string, ports: ChaosPorts): number[] {
  if (link.startsWith("postgres:")) return [portOf(ports, "postgres")];
  const callee = link === WEBHOOKS ? "gateway" : link;
  if (!REPLICATED.some((service) => service === callee)) return [portOf(ports, callee)];
  return REPLICAS.map((replica) => portOf(ports, replicaName(callee, replica)));
}

async function startProcesses(parts: Parts, stores: StoreSet, opened: AsyncDisposableStack) {
  const { folder, ports, secrets, supervisor } = parts;
  const passwords = join(folder, "database-passwords.json");
  const databases = await createDatabases(stores.postgres.url, DATABASE_NAMES, passwords);
  const dataDir = (name: string) => join(folder, name);
  const settings: ShopSettings = { ports: linkedPorts(ports), secrets, dataDir };
  opened.defer(() => supervisor.stop());
  const standIns = ["issuer", "card-processor", "carrier"].map((name) => planStandIn(name, ports, settings));
  await Promise.all(standIns.map((plan) => keep(parts, plan)));
  for (const replica of REPLICAS) {
    // One after the other: the first migrates, and so many processes at once would only wait for one another.
    const plans = REPLICATED.map((service) =>
      planReplica(service, replica, ports, settings, databases[service]),
    );
    await Promise.all(plans.map((plan) => keep(parts, plan)));
  }
}

function keep(parts: Parts, { name, main, rank, env, readyUrl }: ProcessPlan): Promise<void> {
  const { folder, supervisor, guard, replicas, surprises, planted } = parts;
  const watched = new WatchedProcess(
    {
      name,
      command: process.execPath,
      args: [main],
      cwd: repository,
      env: {
        HOST: "127.0.0.1",
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: compileCacheDir,
        ENVIRONMENT: "test",
        LOG_LEVEL: "info",
        FAILPOINTS_DIR: join(folder, "failpoints"),
        ...(planted === undefined ? {} : { PLANTED: planted }),
        ...env,
      },
      logPath: logPathOf(folder, name),
      isReady: async (signal) => (await fetch(readyUrl, { signal })).ok,
      readyWithinMs,
      stopWithinMs,
      onPid: (pid) => guard.watch(name, pid),
    },
    (end) => surprises.push(end),
  );
  replicas.set(name, watched);
  return supervisor.keep(watched, rank);
}

/** Where a process' output is. */
export const logPathOf = (folder: string, name: string) => join(folder, "logs", `${name}.log`);

/** Stand-ins too: their ledgers have to say the same after a restart. */
async function restartAll({ replicas, ports }: Parts) {
  const before = new Map([...replicas].map(([name, { starts }]) => [name, starts]));
  await Promise.all([...replicas.values()].map((one) => one.stop("graceful")));
  await Promise.all(
    [...replicas.values()].map((one) =>
      untilServing(one, before.get(one.name) ?? 0, urlOf(portOf(ports, one.name))),
    ),
  );
}

/** Waits until a process serves that has served so many times before. */
export async function untilServing(
  one: WatchedProcess,
  startsBefore: number,
  what = one.name,
): Promise<void> {
  // Counted, since a machine that has stood still for minutes is no reason to give up.
  for (let poll = 0; !(one.serving && one.starts > startsBefore); poll += 1) {
    if (poll * servingPollMs > servingWithinMs)
      throw new Error(`${what} does not serve after ${servingWithinMs / 1_000} s`);
    await pause(servingPollMs);
  }
}
