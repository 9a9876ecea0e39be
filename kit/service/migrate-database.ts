import type { MigrationConfig } from "#kit/config/config.ts";
import { kitMigrations, type MigrationStream, migrate } from "#kit/postgres/migrate.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import type { ServiceDefinition } from "./definition.ts";

/** The migrations of a service's database: the chassis' tables before its own. */
export function migrationStreams({ migrations }: Pick<ServiceDefinition, "migrations">): MigrationStream[] {
  return [kitMigrations, { folder: migrations, table: "migrations_service" }];
}

/** Brings a service's database up to date, as its owner, for the role that the service runs as. */
export async function migrateDatabase(
  definition: Pick<ServiceDefinition, "migrations">,
  { databaseUrl, databaseOwnerUrl }: Pick<MigrationConfig, "databaseUrl" | "databaseOwnerUrl">,
  log: Logger,
): Promise<void> {
  await migrate({
    ownerUrl: databaseOwnerUrl.reveal(),
    runtimeRole: new URL(databaseUrl.reveal()).username,
    streams: migrationStreams(definition),
    log,
  });
}
