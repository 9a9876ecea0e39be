import type { PortName, Ports } from "../../tools/start/ports.ts";
import { PORT_OFFSETS } from "../../tools/start/ports.ts";
import { databaseEnv, PROCESSES, RANK, type ShopSettings, urlOf } from "../../tools/start/processes.ts";
import type { DatabaseAccess } from "../../tools/stores/databases.ts";
import { type ChaosPorts, databaseLink, portOf, replicaName, WEBHOOKS, WITNESS } from "./ports.ts";

/** How one process of the shop is started. */
export interface ProcessPlan {
  readonly name: string;
  readonly main: string;
  readonly rank: number;
  readonly env: Readonly<Record<string, string>>;
  /** Answers 200 when the process serves. */
  readonly readyUrl: string;
}

/** Nobody is limited, and a dead replica's sagas are taken over soon: a run is short. */
const tuning: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  gateway: {
    ...{ RATE_LIMIT_PER_SECOND: "100000", RATE_LIMIT_BURST: "100000" },
    // Clients here keep an idle connection for four seconds.
    DRAIN_LINGER_MS: "5000",
  },
  orders: { SAGA_LEASE_MS: "5000" },
  "card-processor": { WITHHOLD_MS: "12000", SLOW_MS: "1500" },
  carrier: { WITHHOLD_MS: "12000", SLOW_MS: "1500" },
};

/** Fourteen replicas, their relays and consumers fit Postgres' default of 100 connections. */
const poolSize = "6";

/** The shop as its processes see it: every address but the issuer's is a link's. */
export function linkedPorts(ports: ChaosPorts): Ports {
  const pairs = (Object.keys(PORT_OFFSETS) as PortName[]).map((name) => [name, linkedPort(ports, name)]);
  return Object.fromEntries(pairs) as Ports;
}

function linkedPort(ports: ChaosPorts, name: PortName): number {
  if (name === "issuer") return portOf(ports, name);
  // Each replica has a metrics port and a Postgres link of its own, which its plan names.
  return ports.get(`link:${name}`) ?? 0;
}

/** Plans a stand-in for the outside world. */
export function planStandIn(name: string, ports: ChaosPorts, settings: ShopSettings): ProcessPlan {
  const entry = entryOf(name);
  const port = portOf(ports, name);
  const doors = { ...settings.ports, gateway: portOf(ports, `link:${WEBHOOKS}`) };
  return {
    name,
    main: entry.main,
    rank: entry.rank,
    env: { PORT: `${port}`, ...entry.env({ ...settings, ports: doors }), ...tuning[name] },
    readyUrl: `${urlOf(port)}${entry.readiness.path}`,
  };
}

/** Plans a replica of a service, of the gateway or of the witness. */
export function planReplica(
  service: string,
  replica: number,
  ports: ChaosPorts,
  settings: ShopSettings,
  access: DatabaseAccess | undefined,
): ProcessPlan {
  const name = replicaName(service, replica);
  const metricsPort = portOf(ports, `${name}-metrics`);
  const place = { PORT: `${portOf(ports, name)}`, METRICS_PORT: `${metricsPort}` };
  const database = access ? databaseEnv(throughLink(access, ports, service)) : {};
  const entry = service === WITNESS ? witnessEntry : entryOf(service);
  const env = { ...entry.env(settings), ...database, ...place, DATABASE_POOL_SIZE: poolSize };
  return {
    name,
    main: entry.main,
    rank: entry.rank,
    env: { ...env, ...tuning[service] },
    readyUrl: `${urlOf(metricsPort)}/health/ready`,
  };
}

/** It calls nobody, so it needs no token of its own. */
const witnessEntry = {
  main: "chaos/witness/main.ts",
  rank: RANK.service,
  env: ({ ports }: ShopSettings) => ({
    NATS_URL: `nats://127.0.0.1:${ports.nats}`,
    REDIS_URL: `redis://127.0.0.1:${ports.redis}`,
    TOKEN_ISSUER: urlOf(ports.issuer),
    CLIENT_ID: WITNESS,
    CLIENT_SECRET: WITNESS,
  }),
};

function entryOf(name: string) {
  const entry = PROCESSES.find((one) => one.name === name);
  if (!entry) throw new Error(`there is no process ${name}`);
  return entry;
}

function throughLink({ appUrl, ownerUrl }: DatabaseAccess, ports: ChaosPorts, service: string) {
  const port = portOf(ports, `link:${databaseLink(service)}`);
  const relink = (address: string) => {
    const url = new URL(address);
    url.port = `${port}`;
    return url.href;
  };
  return { appUrl: relink(appUrl), ownerUrl: relink(ownerUrl) };
}
