// The processes of the shop as a table: what runs, where it listens, what it is told.

import type { DatabaseAccess } from "../stores/databases.ts";
import type { PortName, Ports } from "./ports.ts";
import type { Secrets } from "./secrets.ts";
import { SERVICE_NAMES, type ServiceName } from "./service-names.ts";

/** What the table's environments are made of. */
export type ShopSettings = {
  ports: Ports;
  secrets: Secrets;
  /** Where a process keeps its files. */
  dataDir: (name: string) => string;
};

/** The order in which things end: the highest rank first. */
export const RANK = { store: 0, standIn: 1, service: 2, gateway: 3 } as const;

/** One process. */
export type ProcessEntry = {
  name: string;
  /** Its main file, from the root of the repository. */
  main: string;
  rank: number;
  port: PortName;
  /** Answers 200 when the process serves. */
  readiness: { port: PortName; path: string };
  /** What it is told beyond HOST and PORT. */
  env: (settings: ShopSettings) => Record<string, string>;
};

/** Scopes with which services call others in their own name; those that are not named call nobody. */
export const SERVICE_SCOPES: Partial<Record<ServiceName, readonly string[]>> = {
  orders: [
    "internal:catalog",
    "internal:inventory",
    "internal:payments",
    "internal:shipping",
    "payments:refund",
  ],
};

/** Everything but the stores. */
export const PROCESSES: readonly ProcessEntry[] = [
  standIn("issuer", "tools/issuer/main.ts", ({ secrets }) => ({
    CLIENTS: JSON.stringify(clientsOf(secrets)),
  })),
  standIn("card-processor", "sandboxes/card-processor/main.ts", ({ ports, secrets }) => ({
    API_KEY: secrets.cardProcessorKey,
    WEBHOOK_URL: `${urlOf(ports.gateway)}/v1/webhooks/card-processor`,
    WEBHOOK_SECRET: secrets.cardProcessorWebhookSecret,
  })),
  standIn("carrier", "sandboxes/carrier/main.ts", ({ secrets }) => ({ API_KEY: secrets.carrierKey })),
  service("catalog"),
  service("inventory"),
  service("orders"),
  service("payments", ({ ports, secrets }) => ({
    CARD_PROCESSOR_URL: urlOf(ports["card-processor"]),
    CARD_PROCESSOR_KEY: secrets.cardProcessorKey,
    CARD_PROCESSOR_WEBHOOK_SECRET: secrets.cardProcessorWebhookSecret,
  })),
  service("shipping", ({ ports, secrets }) => ({
    CARRIER_URL: urlOf(ports.carrier),
    CARRIER_KEY: secrets.carrierKey,
  })),
  {
    name: "gateway",
    main: "services/gateway/main.ts",
    rank: RANK.gateway,
    port: "gateway",
    readiness: { port: "gateway-metrics", path: "/health/ready" },
    env: (settings) => ({ METRICS_PORT: `${settings.ports["gateway-metrics"]}`, ...surroundings(settings) }),
  },
];

/** The address of a port. */
export function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** What a service is told about its database. */
export function databaseEnv({ appUrl, ownerUrl }: DatabaseAccess): Record<string, string> {
  return { DATABASE_URL: appUrl, DATABASE_OWNER_URL: ownerUrl };
}

function standIn(
  name: "issuer" | "card-processor" | "carrier",
  main: string,
  env: ProcessEntry["env"],
): ProcessEntry {
  return {
    name,
    main,
    rank: RANK.standIn,
    port: name,
    readiness: { port: name, path: "/health" },
    env: (settings) => ({ DATA_DIR: settings.dataDir(name), ...env(settings) }),
  };
}

function service(name: ServiceName, env: ProcessEntry["env"] = () => ({})): ProcessEntry {
  return {
    name,
    main: `services/${name}/main.ts`,
    rank: RANK.service,
    port: name,
    readiness: { port: `${name}-metrics`, path: "/health/ready" },
    env: (settings) => ({
      METRICS_PORT: `${settings.ports[`${name}-metrics`]}`,
      CLIENT_ID: name,
      CLIENT_SECRET: settings.secrets.clientSecrets[name],
      ...surroundings(settings),
      ...env(settings),
    }),
  };
}

/** What every service may know of: the stores, the issuer and the other services. */
function surroundings({ ports }: ShopSettings): Record<string, string> {
  const callees = SERVICE_NAMES.map((name) => [`${name.toUpperCase()}_URL`, urlOf(ports[name])]);
  return {
    NATS_URL: `nats://127.0.0.1:${ports.nats}`,
    REDIS_URL: `redis://127.0.0.1:${ports.redis}`,
    TOKEN_ISSUER: urlOf(ports.issuer),
    ...Object.fromEntries(callees),
  };
}

function clientsOf({ clientSecrets }: Secrets) {
  const clients = SERVICE_NAMES.map((name) => [
    name,
    { secret: clientSecrets[name], scopes: SERVICE_SCOPES[name] ?? [] },
  ]);
  return Object.fromEntries(clients);
}
