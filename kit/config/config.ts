// Environment in, frozen typed object out. Nothing else in the kit or a service reads the environment. Every variable
// that is missing or wrong is named in one error at start, without its value; an empty variable counts as unset;
// secrets print as [secret].
import { inspect } from "node:util";

/** Environment variables as a process or a test hands them over. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnv(): Environment {
  return process.env;
}

const shown = "[secret]";

/** A text that prints as `[secret]` in logs, JSON, errors and inspections; only `reveal()` tells it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself; call it where it is sent, not earlier. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}

/** Everything that is wrong with an environment, one line per variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The environment is not usable:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/** Bounds of a number, both inclusive. */
export interface IntegerOptions {
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Reads variables one by one and remembers what is wrong instead of throwing at the first; a variable without a
 * default has to be set. {@link EnvReader.check} ends the reading.
 */
export interface EnvReader {
  text(name: string, fallback?: string): string;
  /** One of the words given. */
  choice<Word extends string>(name: string, words: readonly Word[], fallback?: Word): Word;
  integer(name: string, options: IntegerOptions): number;
  /** An absolute URL, as written. */
  url(name: string, fallback?: string): string;
  /** An absolute URL, as written, or undefined when unset. */
  optionalUrl(name: string): string | undefined;
  /** A secret of at least so many characters, 1 unless said otherwise. */
  secret(name: string, minLength?: number): Secret;
  /** The same, or undefined when unset. */
  optionalSecret(name: string, minLength?: number): Secret | undefined;
  /** Texts separated by commas, none where unset; `faultOf` says what is wrong with one. */
  list(name: string, faultOf: (entry: string) => string | undefined): readonly string[];
  /** `true` or `false`. */
  flag(name: string, fallback: boolean): boolean;
  /** The config, frozen; throws {@link ConfigError} when anything read so far was wrong. */
  check<Config extends object>(config: Config): Readonly<Config>;
}

/** A reader of the environment given. */
export function envReader(env: Environment): EnvReader {
  const problems: string[] = [];
  const read = <Value>(
    name: string,
    fallback: Value | undefined,
    wrong: Value,
    parse: Parse<Value>,
  ): Value => {
    const text = env[name];
    if (text === undefined || text === "") {
      if (fallback === undefined) problems.push(`${name} is not set`);
      return fallback ?? wrong;
    }
    const parsed = parse(text);
    if (typeof parsed === "object" && parsed !== null && "problem" in parsed) {
      problems.push(`${name} ${parsed.problem}`);
      return wrong;
    }
    return parsed as Value;
  };
  return {
    text: (name, fallback) => read(name, fallback, "", (text) => text),
    choice: (name, words, fallback) => read(name, fallback, words[0] as (typeof words)[number], oneOf(words)),
    integer: (name, options) => read(name, options.default, options.min, integerWithin(options)),
    url: (name, fallback) => read(name, fallback, "", absoluteUrl),
    optionalUrl: (name) => read(name, "", "", absoluteUrl) || undefined,
    secret: (name, minLength = 1) => read(name, undefined, new Secret(""), secretOf(minLength)),
    optionalSecret: (name, minLength = 1) =>
      env[name] ? read(name, undefined, new Secret(""), secretOf(minLength)) : undefined,
    list: (name, faultOf) => read(name, [], [], listOf(faultOf)),
    flag: (name, fallback) =>
      read(name, fallback ? "true" : "false", "false", oneOf(["true", "false"])) === "true",
    check: (config) => {
      if (problems.length > 0) throw new ConfigError(problems);
      return Object.freeze(config);
    },
  };
}

type Parse<Value> = (text: string) => Value | { readonly problem: string };

function oneOf<Word extends string>(words: readonly Word[]): Parse<Word> {
  return (text) => words.find((word) => word === text) ?? { problem: `is not one of ${words.join(", ")}` };
}

function listOf(faultOf: (entry: string) => string | undefined): Parse<readonly string[]> {
  return (text) => {
    const entries = text.split(",").map((entry) => entry.trim());
    const faults = entries.flatMap((entry, index) => {
      const fault = entry === "" ? "is empty" : faultOf(entry);
      return fault === undefined ? [] : [`entry ${index + 1} ${fault}`];
    });
    return faults.length === 0 ? entries : { problem: faults.join("; ") };
  };
}

function integerWithin({ min, max }: IntegerOptions): Parse<number> {
  return (text) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : { problem: `is not a whole number from ${min} to ${max}` };
  };
}

function secretOf(minLength: number): Parse<Secret> {
  return (text) =>
    text.length < minLength ? { problem: `has fewer than ${minLength} characters` } : new Secret(text);
}

function absoluteUrl(text: string): string | { readonly problem: string } {
  return URL.canParse(text) ? text : { problem: "is not an absolute URL" };
}

const environments = ["local", "test", "production"] as const;
const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** The least urgent lines that are still written. */
export type LogLevel = (typeof logLevels)[number];

/** What every process of the shop is told, the gateway included. */
export interface ProcessConfig {
  /** ENVIRONMENT, default local. Reflection is served unless it is production. */
  readonly environment: (typeof environments)[number];
  /** HOST to listen on, default 127.0.0.1: reachable from elsewhere only where that is asked for. */
  readonly host: string;
  /** PORT of gRPC, or of HTTP at the gateway; 0 takes a free one. */
  readonly port: number;
  /** METRICS_PORT for metrics and health; 0 takes a free one. */
  readonly metricsPort: number;
  /** LOG_LEVEL, default info. */
  readonly logLevel: LogLevel;
  /** REDIS_URL. */
  readonly redisUrl: string;
  /** TOKEN_ISSUER: the `iss` of tokens and base URL of the issuer, without a slash at its end. */
  readonly tokenIssuer: string;
  /** OTEL_EXPORTER_OTLP_ENDPOINT; tracing is off when it is unset. */
  readonly otlpEndpoint: string | undefined;
  /** DRAIN_TIMEOUT_MS, default 10 000: how long running calls may take to end at a stop, under Kubernetes' 30 s. */
  readonly drainTimeoutMs: number;
}

/** What a service with a database of its own is told. */
export interface ServiceConfig extends ProcessConfig {
  /** DATABASE_URL: the runtime role, which changes rows and no tables. */
  readonly databaseUrl: Secret;
  /**
   * DATABASE_SESSION_URL: the same role past a pooler, for locks that last as long as their connection; default DATABASE_URL.
   */
  readonly databaseSessionUrl: Secret | undefined;
  /**
   * DATABASE_OWNER_URL: the owner role, used for migrations at start only. Where it is not set, somebody else migrates (in a
   * cluster a Job does), and the service waits for that.
   */
  readonly databaseOwnerUrl: Secret | undefined;
  /** DATABASE_POOL_SIZE, default 10 connections: five services times two replicas fit Postgres' own default of 100. */
  readonly databasePoolSize: number;
  /** NATS_URL. */
  readonly natsUrl: string;
  /** NATS_USER and NATS_PASSWORD, where the server asks for them. */
  readonly natsLogin: NatsLogin;
  /** EVENT_STREAM_REPLICAS, default 1: on how many servers of a NATS cluster each stream is kept. */
  readonly eventStreamReplicas: number;
  /** CLIENT_ID of the service's own client credentials. */
  readonly clientId: string;
  /** CLIENT_SECRET of the service's own client credentials. */
  readonly clientSecret: Secret;
  /** EVENT_PREFIX: first token of NATS subjects and streams, default souk; tests set their own. */
  readonly eventPrefix: string;
  /** EVENT_ACK_WAIT_MS, default 30 000: how long a dead replica's events lie before they are offered again. */
  readonly eventAckWaitMs: number;
  /** SAGA_LEASE_MS, default 10 000: how long a dead replica's sagas lie before another takes them over. */
  readonly sagaLeaseMs: number;
  /**
   * TRACK, default stable. A canary answers calls and does nothing by itself: no events are published or consumed, no sagas driven, no jobs
   * run, but for those that serve callers. All that is its stable replicas' until it is promoted.
   */
  readonly track: "stable" | "canary";
  /** RECONCILIATION_GRACE_MS, default 60 000: how long a record must have been at rest before it is compared. */
  readonly reconciliationGraceMs: number;
}

/** As whom to connect to NATS; without a user as nobody. */
export interface NatsLogin {
  readonly user: string;
  readonly password: Secret | undefined;
}

/** What a process is told that only migrates a database. */
export type MigrationConfig = Pick<ServiceConfig, "databaseUrl" | "logLevel"> & {
  /** DATABASE_OWNER_URL. */
  readonly databaseOwnerUrl: Secret;
};

/** Reads {@link MigrationConfig}; throws {@link ConfigError}. */
export function readMigrationConfig(env: Environment): Readonly<MigrationConfig> {
  const reader = envReader(env);
  return reader.check({
    databaseUrl: reader.secret("DATABASE_URL"),
    databaseOwnerUrl: reader.secret("DATABASE_OWNER_URL"),
    logLevel: reader.choice("LOG_LEVEL", logLevels, "info"),
  });
}

/** Reads {@link ProcessConfig}; throws {@link ConfigError}. */
export function readProcessConfig(env: Environment): Readonly<ProcessConfig> {
  const reader = envReader(env);
  return reader.check(processConfig(reader));
}

/** Reads {@link ServiceConfig}; throws {@link ConfigError}. */
export function readServiceConfig(env: Environment): Readonly<ServiceConfig> {
  const reader = envReader(env);
  return reader.check({
    ...processConfig(reader),
    databaseUrl: reader.secret("DATABASE_URL"),
    databaseSessionUrl: reader.optionalSecret("DATABASE_SESSION_URL"),
    databaseOwnerUrl: reader.optionalSecret("DATABASE_OWNER_URL"),
    databasePoolSize: reader.integer("DATABASE_POOL_SIZE", { default: 10, min: 1, max: 200 }),
    natsUrl: reader.url("NATS_URL"),
    natsLogin: { user: reader.text("NATS_USER", ""), password: reader.optionalSecret("NATS_PASSWORD") },
    eventStreamReplicas: reader.integer("EVENT_STREAM_REPLICAS", { default: 1, min: 1, max: 5 }),
    clientId: reader.text("CLIENT_ID"),
    clientSecret: reader.secret("CLIENT_SECRET"),
    eventPrefix: reader.text("EVENT_PREFIX", "souk"),
    eventAckWaitMs: reader.integer("EVENT_ACK_WAIT_MS", { default: 30_000, min: 100, max: 600_000 }),
    sagaLeaseMs: reader.integer("SAGA_LEASE_MS", { default: 10_000, min: 100, max: 600_000 }),
    track: reader.choice("TRACK", ["stable", "canary"], "stable"),
    reconciliationGraceMs: reader.integer("RECONCILIATION_GRACE_MS", {
      default: 60_000,
      min: 0,
      max: 86_400_000,
    }),
  });
}

function processConfig(reader: EnvReader): ProcessConfig {
  return {
    environment: reader.choice("ENVIRONMENT", environments, "local"),
    host: reader.text("HOST", "127.0.0.1"),
    port: reader.integer("PORT", { min: 0, max: 65_535 }),
    metricsPort: reader.integer("METRICS_PORT", { min: 0, max: 65_535 }),
    logLevel: reader.choice("LOG_LEVEL", logLevels, "info"),
    redisUrl: reader.url("REDIS_URL"),
    tokenIssuer: reader.url("TOKEN_ISSUER"),
    otlpEndpoint: reader.optionalUrl("OTEL_EXPORTER_OTLP_ENDPOINT"),
    drainTimeoutMs: reader.integer("DRAIN_TIMEOUT_MS", { default: 10_000, min: 0, max: 600_000 }),
  };
}
