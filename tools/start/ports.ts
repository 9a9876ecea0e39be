// Where everything listens: a block of ports that starts at a base. The README shows this table.

/** The base where nobody names another one. */
export const DEFAULT_PORT_BASE = 8080;

/** Distance of each port from the base. */
export const PORT_OFFSETS = {
  gateway: 0,
  catalog: 1,
  inventory: 2,
  orders: 3,
  payments: 4,
  shipping: 5,
  "gateway-metrics": 10,
  "catalog-metrics": 11,
  "inventory-metrics": 12,
  "orders-metrics": 13,
  "payments-metrics": 14,
  "shipping-metrics": 15,
  "card-processor": 20,
  carrier: 21,
  issuer: 22,
  postgres: 30,
  nats: 31,
  redis: 32,
} as const;

/** What has a port. */
export type PortName = keyof typeof PORT_OFFSETS;

/** A port of 127.0.0.1 for each name. */
export type Ports = Readonly<Record<PortName, number>>;

const MAX_PORT = 65_535;
/** Ports from the base to the highest. */
export const BLOCK_SIZE = Math.max(...Object.values(PORT_OFFSETS)) + 1;

/** The highest base whose block still has room. */
export const MAX_PORT_BASE = MAX_PORT - BLOCK_SIZE + 1;

/** The ports of a block. */
export function portsFrom(base: number): Ports {
  const ports = Object.entries(PORT_OFFSETS).map(([name, offset]) => [name, base + offset]);
  return Object.fromEntries(ports) as Ports;
}
