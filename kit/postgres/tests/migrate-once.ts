import { kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";

// One process of several that start on the same empty database.
const [ownerUrl = "", runtimeRole = "", folder = ""] = process.argv.slice(2);

await migrate({
  ownerUrl,
  runtimeRole,
  streams: [kitMigrations, { folder: new URL(folder), table: "migrations_service" }],
  log: createLogger({ service: "test", level: "info" }),
});
