import pg from "pg";
import { kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";

// One process of several that begin on the same empty database, at the moment in which the test lets go of its lock.
const [ownerUrl = "", runtimeRole = "", folder = ""] = process.argv.slice(2);

const client = new pg.Client({ connectionString: ownerUrl });
await client.connect();
await client.query("select pg_advisory_lock_shared(1)");
await client.end();
await migrate({
  ownerUrl,
  runtimeRole,
  streams: [kitMigrations, { folder: new URL(folder), table: "migrations_service" }],
  log: createLogger({ service: "test", level: "info" }),
});
