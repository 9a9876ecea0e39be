import type { ListenerTls } from "#edge/edge.ts";
import {
  type Environment,
  type EnvReader,
  envReader,
  type ProcessConfig,
  readProcessConfig,
  type Secret,
} from "#kit/config/config.ts";
import { type AddressSet, addressFault, createAddressSet } from "./addresses.ts";
import { hostFault, originFault } from "./hosts.ts";
import type { Rate, RateRule } from "./rate-limit.ts";

/** What the gateway is told beside what every process is. */
export interface GatewayConfig extends ProcessConfig {
  /** CATALOG_URL, INVENTORY_URL, ORDERS_URL, PAYMENTS_URL, SHIPPING_URL, by the service's name. */
  readonly backends: Readonly<Record<BackendName, string>>;
  /** ALLOWED_HOSTS: hosts that are served (`shop.example`, `shop.example:8443`, `*.shop.example`); any by default. */
  readonly allowedHosts: readonly string[];
  /** CORS_ORIGINS: the pages' origins that may call, separated by commas; none by default. */
  readonly corsOrigins: readonly string[];
  /** WEBSOCKET_ORIGINS: the pages' origins that may open a WebSocket, beside the gateway's own; CORS_ORIGINS by default. */
  readonly websocketOrigins: readonly string[];
  /** TRUSTED_PROXIES: addresses and ranges whose X-Forwarded-For counts; none by default. */
  readonly trustedProxies: AddressSet;
  /** ALLOWED_ADDRESSES: addresses and ranges that are let in; all by default. */
  readonly allowedAddresses: AddressSet;
  /** DENIED_ADDRESSES: addresses and ranges that are not, even if allowed; none by default. */
  readonly deniedAddresses: AddressSet;
  /** RATE_LIMIT_PER_SECOND and RATE_LIMIT_BURST for ordinary calls of one caller, RATE_LIMIT_COSTLY_…, …_PROVIDER_…, …_ADDRESS_…. */
  readonly rates: Readonly<Record<RateRule, Rate>>;
  /** TICKET_KEY: any 32 characters or more, the same at every gateway; one of this process's own by default. */
  readonly ticketKey: Secret | undefined;
  /** TICKET_LIFE_SECONDS, default 60: how long a watch can be begun with a ticket. */
  readonly ticketLifeMs: number;
  /**
   * TLS_CERT_FILE and TLS_KEY_FILE, PEM, read again when they change; cleartext where neither is set. TLS_CLIENT_CA_FILE: callers must
   * show a certificate of these authorities.
   */
  readonly tls: ListenerTls | undefined;
  /** HSTS_SECONDS, default 0 for none: how long browsers are to come by TLS only. */
  readonly hstsSeconds: number;
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
  const corsOrigins = reader.list("CORS_ORIGINS", originFault);
  return reader.check({
    ...readProcessConfig(env),
    backends: Object.fromEntries(urls) as Record<BackendName, string>,
    allowedHosts: reader.list("ALLOWED_HOSTS", hostFault),
    corsOrigins,
    websocketOrigins: env.WEBSOCKET_ORIGINS ? reader.list("WEBSOCKET_ORIGINS", originFault) : corsOrigins,
    trustedProxies: readAddresses(reader, "TRUSTED_PROXIES"),
    allowedAddresses: readAddresses(reader, "ALLOWED_ADDRESSES"),
    deniedAddresses: readAddresses(reader, "DENIED_ADDRESSES"),
    rates: readRates(reader),
    ticketKey: reader.optionalSecret("TICKET_KEY", 32),
    ticketLifeMs: 1_000 * reader.integer("TICKET_LIFE_SECONDS", { default: 60, min: 5, max: 900 }),
    tls: readTls(env, reader),
    hstsSeconds: reader.integer("HSTS_SECONDS", { default: 0, min: 0, max: 63_072_000 }),
    drainLingerMs: reader.integer("DRAIN_LINGER_MS", { default: 0, min: 0, max: 600_000 }),
  });
}

/** Either file makes both necessary. */
function readTls(env: Environment, reader: EnvReader): ListenerTls | undefined {
  const clientCaFile = reader.text("TLS_CLIENT_CA_FILE", "");
  if (!env.TLS_CERT_FILE && !env.TLS_KEY_FILE && clientCaFile === "") return undefined;
  const files = { certFile: reader.text("TLS_CERT_FILE"), keyFile: reader.text("TLS_KEY_FILE") };
  return { ...files, ...(clientCaFile !== "" && { clientCaFile }) };
}

function readAddresses(reader: EnvReader, name: string): AddressSet {
  const entries = reader.list(name, addressFault);
  return createAddressSet(entries.every((entry) => addressFault(entry) === undefined) ? entries : []);
}

/**
 * What is not said follows from the ordinary rate. A costly call does the work of about five; a provider calls for all customers
 * together; behind one address there may be an office or a mobile network.
 */
function readRates(reader: EnvReader): Readonly<Record<RateRule, Rate>> {
  const bounds = { min: 1, max: 1_000_000 };
  const ordinary = {
    perSecond: reader.integer("RATE_LIMIT_PER_SECOND", { default: 50, ...bounds }),
    burst: reader.integer("RATE_LIMIT_BURST", { default: 100, ...bounds }),
  };
  const times = (factor: number, value: number) =>
    Math.min(bounds.max, Math.max(bounds.min, Math.round(value * factor)));
  const rateOf = (name: string, factor: number): Rate => ({
    perSecond: reader.integer(`RATE_LIMIT_${name}_PER_SECOND`, {
      default: times(factor, ordinary.perSecond),
      ...bounds,
    }),
    burst: reader.integer(`RATE_LIMIT_${name}_BURST`, { default: times(factor, ordinary.burst), ...bounds }),
  });
  return {
    ordinary,
    costly: rateOf("COSTLY", 0.2),
    provider: rateOf("PROVIDER", 10),
    address: rateOf("ADDRESS", 10),
  };
}
