import { type Environment, envReader, readServiceConfig, type ServiceConfig } from "#kit/config/config.ts";

/** What inventory is told beside what every service is. */
export interface InventoryConfig extends ServiceConfig {
  /** EXPIRY_EVERY_MS, default 5 000: how late a reservation's pieces may return after its time has run out. */
  readonly expiryEveryMs: number;
  /** EXPIRY_BATCH_SIZE, default 100 reservations: bounds how long one transaction of the job holds stock rows. */
  readonly expiryBatchSize: number;
}

/** Reads {@link InventoryConfig}; throws ConfigError. */
export function readConfig(env: Environment): Readonly<InventoryConfig> {
  const reader = envReader(env);
  return reader.check({
    ...readServiceConfig(env),
    expiryEveryMs: reader.integer("EXPIRY_EVERY_MS", { default: 5_000, min: 50, max: 600_000 }),
    expiryBatchSize: reader.integer("EXPIRY_BATCH_SIZE", { default: 100, min: 1, max: 1_000 }),
  });
}
