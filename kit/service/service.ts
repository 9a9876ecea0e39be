/**
 * A service from its definition: what it needs is opened in order, what it does is run, and all of it is ended in reverse.
 *
 * Start: config → database (migrated) → NATS and streams → clients → wiring → listening → relay, consumers, sagas, jobs →
 * ready. Stop: not ready → calls drained → loops ended → connections closed. Nothing calls `process.exit`.
 */
import type { DescService } from "@bufbuild/protobuf";
import { createCache, type Cache } from "#kit/cache/cache.ts";
import { type Environment, processEnv, type ServiceConfig } from "#kit/config/config.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import type { SagaStart } from "#kit/saga/saga.ts";
import { createLogger, createMetrics, type Logger, type Metrics } from "#kit/telemetry/telemetry.ts";
import type { ServiceRpcs } from "./handlers.ts";
import { start } from "./start.ts";

/** What a service is given to work with. */
export interface Resources {
  readonly db: Database;
  readonly cache: Cache;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A client of another service, which calls with this service's own token. Closed with the service. */
  client<S extends DescService>(descriptor: S, url: string): Client<S>;
  /** Starts a saga in a transaction and returns its id. */
  startSaga<Input>(tx: Transaction, definition: SagaDefinition<Input>, start: SagaStart<Input>): string;
  /** The newest saga of a definition about a subject, as recorded. */
  findSaga(definition: SagaDefinition<never>, subjectId: string): Promise<Saga<unknown> | undefined>;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
}

/** Work that a service does by itself, again and again. */
export interface Job {
  readonly name: string;
  /** Pause between the end of one run and the start of the next, in milliseconds. */
  readonly everyMs: number;
  /** A failed run is logged and tried again after the pause. */
  run(): Promise<void>;
}

/** The kinds of work a service does. */
export interface Wiring {
  readonly rpcs: readonly ServiceRpcs[];
  readonly consumers?: readonly Consumer[];
  readonly sagas?: readonly SagaDefinition<never>[];
  readonly jobs?: readonly Job[];
}

/** A service, as data. */
export interface ServiceDefinition<Config extends ServiceConfig = ServiceConfig> {
  /** The service's folder, database and token client. */
  readonly name: string;
  readonly migrations: URL;
  readConfig(env: Environment): Config;
  wire(resources: Resources, config: Config): Wiring;
}

/** A service that is up. */
export interface RunningService {
  /** Port of gRPC. */
  readonly port: number;
  readonly metricsPort: number;
  /** Ends the service; safe to call twice. */
  stop(): Promise<void>;
}

/** Declares a service. */
export const defineService = <Config extends ServiceConfig>(
  definition: ServiceDefinition<Config>,
): ServiceDefinition<Config> => definition;

/** Starts a service from an environment; used by `run` and by tests. */
export async function startService<Config extends ServiceConfig>(
  definition: ServiceDefinition<Config>,
  env: Environment,
): Promise<RunningService> {
  const config = definition.readConfig(env);
  const log = createLogger({ service: definition.name, level: config.logLevel });
  return await start(definition, config, log, createMetrics());
}

/** Runs a service as this process until SIGTERM or SIGINT. */
export async function run<Config extends ServiceConfig>(definition: ServiceDefinition<Config>): Promise<void> {
  await runUntilSignalled(() => startService(definition, processEnv()));
}

/** After this long a stop that hangs is cut off, below Kubernetes' 30 s. */
const stopTimeoutMs = 25_000;

/** Starts something and ends it at the first SIGTERM or SIGINT; the process then ends by itself. */
export async function runUntilSignalled(startUp: () => Promise<{ stop(): Promise<void> }>): Promise<void> {
  const signalled = new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
  const running = await startUp();
  await signalled;
  // A timer that is not waited for: it only fires when something keeps the process alive after its stop.
  setTimeout(() => process.exit(1), stopTimeoutMs).unref();
  await running.stop();
}

