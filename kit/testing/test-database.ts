import { createHash, randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import pg from "pg";
import { kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";

/** A database that belongs to one test file. */
export interface TestDatabase {
  readonly name: string;
  readonly appUrl: string;
  readonly ownerUrl: string;
  /** Shifts `souk_now()` by milliseconds, in addition to earlier shifts. */
  shiftClock(ms: number): Promise<void>;
}

/** Whose tables a database is to have. */
export interface TestSchema {
  readonly name: string;
  readonly migrations: URL;
}

const password = "test";

/** Clones a fresh database from the template of a service's migrations; the first caller of a run makes the template. */
export async function cloneDatabase(superuserUrl: string, schema: TestSchema): Promise<TestDatabase> {
  const template = `template_${schema.name}_${fingerprint([kitMigrations.folder, schema.migrations])}`;
  const name = `test_${schema.name}_${randomUUID().replaceAll("-", "")}`;
  await withClient(superuserUrl, async (client) => {
    // Cloning needs a template nobody is connected to, so whoever makes or clones it takes turns.
    await client.query("select pg_advisory_lock(hashtext($1))", [template]);
    await ensureTemplate(client, superuserUrl, template, schema);
    await client.query(`create database ${name} template ${template} owner ${ownerRole(schema)}`);
  });
  return toTestDatabase(superuserUrl, name, schema);
}

async function ensureTemplate(client: pg.Client, superuserUrl: string, template: string, schema: TestSchema) {
  await client.query("select pg_advisory_lock(hashtext($1))", [schema.name]);
  for (const role of [ownerRole(schema), appRole(schema)]) await ensureRole(client, role);
  await client.query("select pg_advisory_unlock(hashtext($1))", [schema.name]);
  const found = await client.query("select from pg_database where datname = $1", [template]);
  if (found.rowCount) return;
  const making = `${template}_making`;
  await client.query(`drop database if exists ${making}`);
  await client.query(`create database ${making} owner ${ownerRole(schema)}`);
  await migrate({
    ownerUrl: urlOf(superuserUrl, making, ownerRole(schema)),
    runtimeRole: appRole(schema),
    streams: [kitMigrations, { folder: schema.migrations, table: "migrations_service" }],
    log: createLogger({ service: "testing", level: "error" }),
  });
  await client.query(`alter database ${making} rename to ${template}`);
}

async function ensureRole(client: pg.Client, role: string) {
  const found = await client.query("select from pg_roles where rolname = $1", [role]);
  if (!found.rowCount) await client.query(`create role ${role} login password '${password}'`);
}

function toTestDatabase(superuserUrl: string, name: string, schema: TestSchema): TestDatabase {
  const ownerUrl = urlOf(superuserUrl, name, ownerRole(schema));
  return {
    name,
    appUrl: urlOf(superuserUrl, name, appRole(schema)),
    ownerUrl,
    shiftClock: (ms) =>
      withClient(ownerUrl, async (client) => {
        await client.query("update kit.clock set offset_ms = offset_ms + $1", [Math.round(ms)]);
      }),
  };
}

const ownerRole = ({ name }: TestSchema) => `test_${name}_owner`;
const appRole = ({ name }: TestSchema) => `test_${name}_app`;

function urlOf(superuserUrl: string, database: string, role: string) {
  const url = new URL(superuserUrl);
  url.username = role;
  url.password = password;
  url.pathname = `/${database}`;
  return url.href;
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function fingerprint(folders: readonly URL[]) {
  const hash = createHash("sha256");
  for (const folder of folders) {
    for (const file of readdirSync(folder).sort())
      hash.update(file).update(readFileSync(new URL(file, folder)));
  }
  return hash.digest("hex").slice(0, 12);
}
