import { type Environment, envReader, type ProcessConfig, readProcessConfig } from "#kit/config/config.ts";

/** What the gateway is told beside what every process is. */
export interface GatewayConfig extends ProcessConfig {
  /** CATALOG_URL, INVENTORY_URL, ORDERS_URL, PAYMENTS_URL, SHIPPING_URL, by the service's name. */
  readonly backends: Readonly<Record<BackendName, string>>;
  /** CORS_ORIGINS: the pages' origins that may call, separated by commas; none by default. */
  readonly corsOrigins: readonly string[];
  /** RATE_LIMIT_PER_SECOND, default 50: requests of one caller in the long run. */
  readonly rateLimitPerSecond: number;
  /** RATE_LIMIT_BURST, default 100: requests of one caller at once. */
  readonly rateLimitBurst: number;
  /**
   * DRAIN_LINGER_MS, default 0: for so long a gateway that is told to end goes on serving, sending callers to other connections.
   * Above the time that clients keep an idle connection, a rollout fails no request.
   */
  readonly drainLingerMs: number;
}

const backendNames = ["catalog", "inventory", "orders", "payments", "shipping"] as const;

/** A service behind the gateway. */
export type BackendName = (typeof backendNames)[number];

/** Reads {@link GatewayConfig}; throws ConfigError. */
export function readConfig(env: Environment): Readonly<GatewayConfig> {
  const reader = envReader(env);
  const urls = backendNames.map((name) => [name, reader.url(`${name.toUpperCase()}_URL`)] as const);
  return reader.check({
    ...readProcessConfig(env),
    backends: Object.fromEntries(urls) as Record<BackendName, string>,
    corsOrigins: reader
      .text("CORS_ORIGINS", "")
      .split(",")
      .filter((origin) => origin !== ""),
    rateLimitPerSecond: reader.integer("RATE_LIMIT_PER_SECOND", { default: 50, min: 1, max: 1_000_000 }),
    drainLingerMs: reader.integer("DRAIN_LINGER_MS", { default: 0, min: 0, max: 600_000 }),
    rateLimitBurst: reader.integer("RATE_LIMIT_BURST", { default: 100, min: 1, max: 1_000_000 }),
  });
}
