import { type Environment, envReader, readServiceConfig, type ServiceConfig } from "#kit/config/config.ts";

/** What catalog is told beside what every service is. */
export interface CatalogConfig extends ServiceConfig {
  /** PRODUCT_CACHE_TTL_MS, default 30 000: how old a product read from Redis can be when its invalidation was lost. */
  readonly productCacheTtlMs: number;
}

/** Reads {@link CatalogConfig}; throws ConfigError. */
export function readConfig(env: Environment): Readonly<CatalogConfig> {
  const reader = envReader(env);
  return reader.check({
    ...readServiceConfig(env),
    productCacheTtlMs: reader.integer("PRODUCT_CACHE_TTL_MS", { default: 30_000, min: 1, max: 3_600_000 }),
  });
}
