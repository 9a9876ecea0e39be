import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { awaitMigrations, kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createDatabase, statement } from "#kit/postgres/postgres.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { eventually, testEnvironment } from "#kit/testing/testing.ts";
import { countersSchema, openParts, type Parts, runSql } from "#kit/testing/tests/parts.ts";

const execute = promisify(execFile);
let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

/** An empty database that belongs to the fixture's owner role. */
async function createEmpty() {
  const name = `test_empty_${randomUUID().replaceAll("-", "")}`;
  await runSql(testEnvironment().postgresUrl, `create database ${name} owner test_counters_owner`);
  const inside = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  return { ownerUrl: inside(parts.database.ownerUrl), appUrl: inside(parts.database.appUrl) };
}

const migrationsOf = async (ownerUrl: string, table: string) =>
  (await runSql(ownerUrl, `select name from public.${table} order by run_on, name`)).map(({ name }) => name);

test("three processes that start at once on an empty database migrate it once", async () => {
  const { ownerUrl, appUrl } = await createEmpty();
  const script = fileURLToPath(new URL("migrate-once.ts", import.meta.url));
  const run = () =>
    execute(process.execPath, [script, ownerUrl, "test_counters_app", countersSchema.migrations.href]);
  const holder = new pg.Client({ connectionString: ownerUrl });
  await holder.connect();
  await holder.query("select pg_advisory_lock(1)");
  const running = Promise.all([run(), run(), run()]);
  const waiting = `select from pg_locks where locktype = 'advisory' and not granted
                     and database = (select oid from pg_database where datname = current_database())`;
  await eventually(async () => expect(await runSql(ownerUrl, waiting)).toHaveLength(3));
  await holder.end();
  const outputs = (await running).map(({ stdout }) => stdout);
  expect(outputs.join("").match(/0001-chassis/g)).toHaveLength(1);
  expect(outputs.join("").match(/0001-counters/g)).toHaveLength(1);
  const ofKit = readdirSync(kitMigrations.folder).map((file) => file.replace(/\.sql$/, ""));
  expect(await migrationsOf(ownerUrl, "migrations_kit")).toEqual(ofKit.toSorted());
  expect(await migrationsOf(ownerUrl, "migrations_service")).toEqual(["0001-counters"]);
  const db = createDatabase({ url: appUrl, log: parts.log });
  expect(await addTo(db, "first", 7)).toBe(7n);
  await db.close();
});

test("whoever leaves a transaction open in a migrated database is cut off after a minute", async () => {
  const { ownerUrl, appUrl } = await createEmpty();
  const script = fileURLToPath(new URL("migrate-once.ts", import.meta.url));
  await execute(process.execPath, [script, ownerUrl, "test_counters_app", countersSchema.migrations.href]);
  for (const url of [ownerUrl, appUrl])
    expect(await runSql(url, "show idle_in_transaction_session_timeout")).toEqual([
      { idle_in_transaction_session_timeout: "1min" },
    ]);
});

test("a migration that fails leaves nothing of itself, and the next start begins with it", async () => {
  const { ownerUrl } = await createEmpty();
  const folder = mkdtempSync(join(tmpdir(), "souk-migrations-"));
  writeFileSync(join(folder, "0001-good.sql"), "create table good (n int);");
  writeFileSync(join(folder, "0002-bad.sql"), "create table half (n int); select 1 / 0;");
  const run = () =>
    migrate({
      ownerUrl,
      runtimeRole: "test_counters_app",
      streams: [kitMigrations, { folder: pathToFileURL(`${folder}/`), table: "migrations_service" }],
      log: parts.log,
    });
  await expect(run()).rejects.toThrow(/division by zero/);
  const tables = `select tablename from pg_tables where schemaname = 'public' and tablename in ('good', 'half')`;
  expect(await runSql(ownerUrl, tables)).toEqual([{ tablename: "good" }]);
  expect(await migrationsOf(ownerUrl, "migrations_service")).toEqual(["0001-good"]);
  writeFileSync(join(folder, "0002-bad.sql"), "create table half (n int);");
  await run();
  expect(await migrationsOf(ownerUrl, "migrations_service")).toEqual(["0001-good", "0002-bad"]);
  rmSync(folder, { recursive: true });
});

test("who may not migrate waits for who may, and for every migration it knows", async () => {
  const { ownerUrl, appUrl } = await createEmpty();
  const streams = [kitMigrations, { folder: countersSchema.migrations, table: "migrations_service" }];
  const wait = (waitMs: number) => awaitMigrations({ url: appUrl, streams, log: parts.log, waitMs });
  await expect(wait(100)).rejects.toThrow(/is not migrated/);
  const waiting = wait(20_000);
  await migrate({ ownerUrl, runtimeRole: "test_counters_app", streams, log: parts.log });
  await waiting;
  await runSql(ownerUrl, "delete from public.migrations_service");
  await expect(wait(100)).rejects.toThrow("Missing: 0001-counters");
  await runSql(
    ownerUrl,
    "insert into public.migrations_service (name, run_on) values ('0001-counters', now()), ('0002-next', now())",
  );
  await wait(100);
});

test("a migration waits for a reader of its table only so long, and keeps nobody waiting behind it for longer", async () => {
  const { ownerUrl } = await createEmpty();
  const folder = mkdtempSync(join(tmpdir(), "souk-migrations-"));
  writeFileSync(join(folder, "0001-good.sql"), "create table good (n int);");
  const run = () =>
    migrate({
      ownerUrl,
      runtimeRole: "test_counters_app",
      streams: [kitMigrations, { folder: pathToFileURL(`${folder}/`), table: "migrations_service" }],
      log: parts.log,
      lockTimeoutMs: 200,
    });
  await run();
  const reader = new pg.Client({ connectionString: ownerUrl });
  await reader.connect();
  await reader.query("begin; select from good");
  writeFileSync(join(folder, "0002-wider.sql"), "alter table good add column wide int;");
  await expect(run()).rejects.toThrow(/lock timeout/);
  await reader.end();
  await run();
  expect(await migrationsOf(ownerUrl, "migrations_service")).toEqual(["0001-good", "0002-wider"]);
  rmSync(folder, { recursive: true });
});

test.each([
  `create table sneaky (n int)`,
  `create table kit.sneaky (n int)`,
  `alter table counters add column sneaky int`,
  `drop table counters`,
  `truncate counters`,
  `create schema sneaky`,
  `update kit.clock set offset_ms = 1`,
  `insert into kit.clock (only_row, offset_ms) values (true, 1)`,
  `delete from kit.clock`,
  `create or replace function souk_now() returns timestamptz language sql as $$ select now() $$`,
  `delete from public.migrations_kit`,
  `update public.migrations_service set name = 'sneaky'`,
])("the runtime role may not: %s", async (sql) => {
  await expect(parts.db.query(statement(sql.slice(0, 60), sql))).rejects.toMatchObject({ code: "42501" });
});

test("the runtime role reads the clock that its owner shifts", async () => {
  const ahead = statement(
    "test-ahead",
    `select round(extract(epoch from souk_now() - now()))::int as seconds`,
  );
  expect(await parts.db.query(ahead)).toEqual([{ seconds: 0 }]);
  await parts.database.shiftClock(3_600_000);
  await parts.database.shiftClock(-1_000);
  expect(await parts.db.query(ahead)).toEqual([{ seconds: 3_599 }]);
});
