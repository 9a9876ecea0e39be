import { SERVICE_NAMES } from "../../tools/start/service-names.ts";
import { findFreeBlock } from "../../tools/stores/free-port.ts";

/** The service that writes down what the kit's inbox lets through. */
export const WITNESS = "witness";
/** What runs twice: the shop's services and its gateway. */
export const SHOP_SERVICES = ["gateway", ...SERVICE_NAMES] as const;
/** What has a database. */
export const DATABASE_NAMES = [...SERVICE_NAMES, WITNESS] as const;
/** Everything of which two replicas run. */
export const REPLICATED = [...SHOP_SERVICES, WITNESS] as const;
/** The numbers of the two replicas. */
export const REPLICAS = [1, 2] as const;

/** The link over which the card processor tells the gateway what has happened. */
export const WEBHOOKS = "webhooks";

/** The link between a service and its database. */
export const databaseLink = (service: string) => `postgres:${service}`;

/** Links that callers use instead of the real address. */
export const LINK_NAMES: readonly string[] = [
  ...SHOP_SERVICES,
  ...["card-processor", "carrier", WEBHOOKS, "nats", "redis"],
  ...DATABASE_NAMES.map(databaseLink),
];

/** Name of a replica in logs, reports and tables. */
export const replicaName = (service: string, replica: number) => `${service}-${replica}`;

/** A port for each name: `orders-1`, `orders-1-metrics`, `link:orders`, `postgres`. */
export type ChaosPorts = ReadonlyMap<string, number>;

const names = [
  ...REPLICATED.flatMap((service) =>
    REPLICAS.flatMap((replica) => [
      replicaName(service, replica),
      `${replicaName(service, replica)}-metrics`,
    ]),
  ),
  ...LINK_NAMES.map((name) => `link:${name}`),
  ...["issuer", "card-processor", "carrier", "postgres", "nats", "redis"],
];

/** Finds a block of free ports. */
export async function findPorts(): Promise<ChaosPorts> {
  const base = await findFreeBlock(names.length);
  return new Map(names.map((name, index) => [name, base + index]));
}

/** The port of a name; throws for one that is not in the table. */
export function portOf(ports: ChaosPorts, name: string): number {
  const port = ports.get(name);
  if (port === undefined) throw new Error(`nothing is called ${name}`);
  return port;
}
