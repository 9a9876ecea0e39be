import { type Environment, envReader, readServiceConfig, type ServiceConfig } from "#kit/config/config.ts";

/** What orders is told beside what every service is. */
export interface OrdersConfig extends ServiceConfig {
  /** CATALOG_URL. */
  readonly catalogUrl: string;
  /** INVENTORY_URL. */
  readonly inventoryUrl: string;
  /** PAYMENTS_URL. */
  readonly paymentsUrl: string;
  /** SHIPPING_URL. */
  readonly shippingUrl: string;
}

/** Reads {@link OrdersConfig}; throws ConfigError. */
export function readConfig(env: Environment): Readonly<OrdersConfig> {
  const reader = envReader(env);
  return reader.check({
    ...readServiceConfig(env),
    catalogUrl: reader.url("CATALOG_URL"),
    inventoryUrl: reader.url("INVENTORY_URL"),
    paymentsUrl: reader.url("PAYMENTS_URL"),
    shippingUrl: reader.url("SHIPPING_URL"),
  });
}
