import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { deadlineIn, delay } from "#kit/time/time.ts";

/** One stream of numbered `.sql` files and the table that remembers which were run. */
export interface MigrationStream {
  readonly folder: URL;
  /** Table in schema `public`, owned by the owner role. */
  readonly table: string;
}

/** The kit's own tables: schema `kit`, and `souk_now()`. */
export const kitMigrations: MigrationStream = {
  folder: new URL("../migrations/", import.meta.url),
  table: "migrations_kit",
};

/**
 * Brings a database up to date, stream by stream, as its owner, and lets the runtime role read and write but not define.
 * Several processes may call this at once: they take turns behind an advisory lock.
 * @throws when the server is away, somebody else's turn lasts longer than a minute, or a migration fails (it does where a
 * reader keeps its table for too long): of that one nothing stays, and the next call begins with it.
 */
export async function migrate(options: {
  readonly ownerUrl: string;
  readonly runtimeRole: string;
  readonly streams: readonly MigrationStream[];
  readonly log: Logger;
  /** How long a statement may wait for a lock, 5,000 ms by default: all who come later wait behind it meanwhile. */
  readonly lockTimeoutMs?: number;
}): Promise<void> {
  const client = new pg.Client({ connectionString: options.ownerUrl, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(takeTurn(options.lockTimeoutMs ?? lockTimeoutMs));
    for (const stream of options.streams) await runStream(client, stream, options.log);
    await client.query(
      grants(client.escapeIdentifier(options.runtimeRole), client.escapeIdentifier(client.database ?? "")),
    );
  } finally {
    await client.end();
  }
}

async function runStream(client: pg.Client, stream: MigrationStream, log: Logger) {
  const ran = await runner({
    dbClient: client,
    dir: fileURLToPath(stream.folder),
    migrationsTable: stream.table,
    migrationsSchema: "public",
    direction: "up",
    checkOrder: true,
    noLock: true,
    log: () => {},
  });
  for (const migration of ran) log.info({ migration: basename(migration.path) }, "migrated");
}

/**
 * Waits until somebody else has run every migration of these streams; further ones, of a newer release, do not matter.
 * @throws after `waitMs`, 50,000 by default (within what a pod may take to start), and says what is missing, or what the server said.
 */
export async function awaitMigrations(options: {
  readonly url: string;
  readonly streams: readonly MigrationStream[];
  readonly log: Logger;
  readonly waitMs?: number;
}): Promise<void> {
  const deadline = deadlineIn(options.waitMs ?? schemaWaitMs);
  for (let attempt = 1; ; attempt += 1) {
    const missing = await missingMigrations(options).catch((error: Error) => [error.message]);
    if (missing.length === 0) return;
    if (deadline.remainingMs() === 0)
      throw new Error(`The database is not migrated. Missing: ${missing.join(", ")}`);
    if (attempt === 1) options.log.info({ missing }, "waiting for the database to be migrated");
    await delay(Math.min(askAgainMs, deadline.remainingMs()));
  }
}

const schemaWaitMs = 50_000;
const askAgainMs = 500;

async function missingMigrations({ url, streams }: Parameters<typeof awaitMigrations>[0]): Promise<string[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  });
  client.on("error", () => {});
  await client.connect();
  try {
    const missing: string[] = [];
    for (const { folder, table } of streams) {
      const { rows } = await client.query<{ name: string }>(`select name from public.${table}`);
      const ran = new Set(rows.map(({ name }) => name));
      missing.push(...migrationNames(folder).filter((name) => !ran.has(name)));
    }
    return missing;
  } finally {
    await client.end();
  }
}

function migrationNames(folder: URL): string[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  return files.map((file) => basename(file, ".sql")).sort();
}

const turnTimeoutMs = 60_000;
const lockTimeoutMs = 5_000;
/** A statement that takes longer does not belong into the start of a service. */
const statementTimeoutMs = 600_000;

const takeTurn = (lockTimeoutMs: number) => `
  set lock_timeout = ${turnTimeoutMs};
  select pg_advisory_lock(hashtext('souk migrations'));
  set lock_timeout = ${lockTimeoutMs};
  set statement_timeout = ${statementTimeoutMs};
`;

/**
 * For every session of this database, a person's too: a transaction left open holds back the events of all databases of the server.
 * The services' own sessions have less.
 */
const idleInTransactionTimeoutMs = 60_000;

/** DML only, and not on the clock: whoever shifts time is the owner. Runs on each start, so new tables are covered. */
const grants = (role: string, database: string) => `
  begin;
  grant usage on schema public, kit to ${role};
  grant select, insert, update, delete on all tables in schema public, kit to ${role};
  grant usage, select on all sequences in schema public, kit to ${role};
  revoke insert, update, delete on kit.clock, public.migrations_kit, public.migrations_service from ${role};
  alter database ${database} set idle_in_transaction_session_timeout = '${idleInTransactionTimeoutMs}ms';
  commit;
`;
