/**
 * A service from its definition: what it needs is opened in order, what it does is run, and all of it is ended in reverse.
 *
 * Start: config → database (migrated) → NATS and streams → clients → wiring → listening → relay, consumers, sagas, jobs →
 * ready. Stop: not ready → calls drained → loops ended → connections closed. Nothing calls `process.exit`.
 */
import { type Environment, processEnv, readMigrationConfig, type ServiceConfig } from "#kit/config/config.ts";
import { createLogger, createMetrics } from "#kit/telemetry/telemetry.ts";
import type { RunningService, ServiceDefinition } from "./definition.ts";
import { migrateDatabase } from "./migrate-database.ts";
import { start } from "./start.ts";

export type { Job, Resources, RunningService, ServiceDefinition, Wiring } from "./definition.ts";

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

/** Runs a service as this process until SIGTERM or SIGINT; with the argument `migrate`, only migrates its database. */
export async function run<Config extends ServiceConfig>(
  definition: ServiceDefinition<Config>,
): Promise<void> {
  if (process.argv[2] === "migrate") return await migrateAlone(definition, processEnv());
  await runUntilSignalled(() => startService(definition, processEnv()));
}

async function migrateAlone(definition: Pick<ServiceDefinition, "name" | "migrations">, env: Environment) {
  const config = readMigrationConfig(env);
  const log = createLogger({ service: definition.name, level: config.logLevel });
  await migrateDatabase(definition, config, log);
  log.info("the database is up to date");
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
