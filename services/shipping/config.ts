import {
  type Environment,
  envReader,
  readServiceConfig,
  type Secret,
  type ServiceConfig,
} from "#kit/config/config.ts";

/** What shipping is told beside what every service is told. */
export interface ShippingConfig extends ServiceConfig {
  /** CARRIER_URL. */
  readonly carrierUrl: string;
  /** CARRIER_KEY: the API key. */
  readonly carrierKey: Secret;
  /** CARRIER_TIMEOUT_MS, default 8 000: below the 10 s of the methods that call it, so that they can still answer. */
  readonly carrierTimeoutMs: number;
}

/** Reads the environment. @throws ConfigError that names every variable which is missing or wrong. */
export function readConfig(env: Environment): ShippingConfig {
  const shared = readServiceConfig(env);
  const reader = envReader(env);
  return reader.check({
    ...shared,
    carrierUrl: reader.url("CARRIER_URL"),
    carrierKey: reader.secret("CARRIER_KEY"),
    carrierTimeoutMs: reader.integer("CARRIER_TIMEOUT_MS", { default: 8_000, min: 100, max: 60_000 }),
  });
}
