/**
 * A service under test, as it runs in production: real gRPC, a database of its own cloned from a migrated template, streams of
 * its own. What a test run shares (servers, issuer) is named by TEST_* variables, which tools/test-environment.ts sets.
 */
import { randomUUID } from "node:crypto";
import type { DescService } from "@bufbuild/protobuf";
import { type LogLevel, processEnv, type ServiceConfig } from "#kit/config/config.ts";
import { forgetAnswers } from "#kit/idempotency/forget.ts";
import { createDatabase, type Database } from "#kit/postgres/postgres.ts";
import { type Client, createClient } from "#kit/rpc/client.ts";
import { type RunningService, type ServiceDefinition, startService } from "#kit/service/service.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { deadlineIn, delay } from "#kit/time/time.ts";
import { cloneDatabase, type TestDatabase } from "./test-database.ts";

/** The servers a test run shares. */
export interface TestEnvironment {
  readonly postgresUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
  readonly issuerUrl: string;
  readonly logLevel: LogLevel;
}

/** How a service is started for a test. */
export interface TestOptions {
  /** Variables beside or instead of those that every service gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Root of subjects and streams; services that are to hear one another share it. */
  readonly prefix?: string;
  /** A database to start on again; a fresh clone where unset. */
  readonly database?: TestDatabase;
}

/** Whom a token names. */
export interface TestPerson {
  readonly sub?: string;
  readonly scope: string;
  readonly roles?: string;
}

/** A service that runs for one test file. */
export interface TestService {
  /** `http://host:port` of gRPC. */
  readonly url: string;
  readonly metricsUrl: string;
  /** The service's database, as its runtime role. */
  readonly db: Database;
  readonly database: TestDatabase;
  readonly prefix: string;
  /** A client that calls as that person, or, with a service's name, as that service. Closed with the service. */
  client<S extends DescService>(descriptor: S, caller: TestPerson | { readonly service: string }): Client<S>;
  /** Shifts the service's `souk_now()` for good, by milliseconds. */
  shiftClock(ms: number): Promise<void>;
  /** Lets 25 hours pass for the service, by when it has forgotten what it answered. */
  passADay(): Promise<void>;
  /** Stops the service; its database stays for `database` of another start. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Reads what the test run shares. @throws Error when the tests were not started by `npm test`. */
export function testEnvironment(): TestEnvironment {
  const env = processEnv();
  const read = (name: string) => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set: run the tests with npm test`);
    return value;
  };
  return {
    postgresUrl: read("TEST_POSTGRES_URL"),
    natsUrl: read("TEST_NATS_URL"),
    redisUrl: read("TEST_REDIS_URL"),
    issuerUrl: read("TEST_ISSUER_URL"),
    logLevel: (env.TEST_LOG_LEVEL ?? "error") as LogLevel,
  };
}

/** A root for subjects and streams that nobody else uses. */
export const testPrefix = () => `t${randomUUID().replaceAll("-", "").slice(0, 12)}`;

/** Starts a service on a free port, with a fresh database, in this process. */
export async function startForTest<Config extends ServiceConfig>(
  definition: ServiceDefinition<Config>,
  options: TestOptions = {},
): Promise<TestService> {
  const shared = testEnvironment();
  const { name, migrations } = definition;
  const database = options.database ?? (await cloneDatabase(shared.postgresUrl, { name, migrations }));
  const prefix = options.prefix ?? testPrefix();
  const env = { ...serviceEnvironment(name, database, prefix, shared), ...options.env };
  const service = await startService(definition, env);
  const db = createDatabase({ url: database.appUrl, log: createLogger({ service: name, level: "error" }) });
  return toTestService({ service, db, database, prefix, shared });
}

/** The variables every service is started with. */
export function serviceEnvironment(
  name: string,
  database: TestDatabase,
  prefix: string,
  shared: TestEnvironment = testEnvironment(),
): Record<string, string> {
  return {
    HOST: "127.0.0.1",
    PORT: "0",
    METRICS_PORT: "0",
    ENVIRONMENT: "test",
    LOG_LEVEL: shared.logLevel,
    DATABASE_URL: database.appUrl,
    DATABASE_OWNER_URL: database.ownerUrl,
    NATS_URL: shared.natsUrl,
    REDIS_URL: shared.redisUrl,
    TOKEN_ISSUER: shared.issuerUrl,
    CLIENT_ID: name,
    CLIENT_SECRET: testClientSecret,
    EVENT_PREFIX: prefix,
  };
}

/** The secret of every service's client at the test run's issuer. */
export const testClientSecret = "test-client-secret";

interface Started {
  readonly service: RunningService;
  readonly db: Database;
  readonly database: TestDatabase;
  readonly prefix: string;
  readonly shared: TestEnvironment;
}

function toTestService({ service, db, database, prefix, shared }: Started): TestService {
  const url = `http://127.0.0.1:${service.port}`;
  const clients: { close(): void }[] = [];
  const stop = async () => {
    for (const client of clients) client.close();
    await service.stop();
    await db.close().catch(() => {});
  };
  return {
    url,
    metricsUrl: `http://127.0.0.1:${service.metricsPort}`,
    db,
    database,
    prefix,
    client(descriptor, caller) {
      const token = once(() => fetchTestToken(caller, shared.issuerUrl));
      const client = createClient(descriptor, { url, token });
      clients.push(client);
      return client;
    },
    shiftClock: (ms) => database.shiftClock(ms),
    async passADay() {
      await database.shiftClock(25 * 60 * 60_000);
      await forgetAnswers(db, AbortSignal.timeout(10_000));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** A token of the test run's issuer, for a person or in a service's own name. */
export async function fetchTestToken(
  caller: TestPerson | { readonly service: string },
  issuerUrl: string = testEnvironment().issuerUrl,
): Promise<string> {
  const form =
    "service" in caller
      ? { grant_type: "client_credentials", client_id: caller.service, client_secret: testClientSecret }
      : {
          grant_type: "urn:souk:development",
          sub: caller.sub ?? testCustomer,
          scope: caller.scope,
          roles: caller.roles ?? "customer",
        };
  const response = await fetch(`${issuerUrl}/token`, { method: "POST", body: new URLSearchParams(form) });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (!token) throw new Error(`the issuer answered ${response.status}`);
  return token;
}

/** Whoever a test's calls come from where nobody is named. */
const testCustomer = "user_01hzy3v8q0e9wb0c1a2d3f4g5h";

const pauseMs = 20;

/** Repeats a check until it passes; after `withinMs` its last failure is the test's. */
export async function eventually<T>(check: () => Promise<T> | T, withinMs = 10_000): Promise<T> {
  const deadline = deadlineIn(withinMs);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (deadline.remainingMs() === 0) throw error;
    }
    await delay(pauseMs);
  }
}
