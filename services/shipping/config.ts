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
  /** CARRIER_TIMEOUT_MS, default 4 000: below the 5 s a checkout waits for an attempt, so that it hears why. */
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
    carrierTimeoutMs: reader.integer("CARRIER_TIMEOUT_MS", { default: 4_000, min: 100, max: 60_000 }),
  });
}
