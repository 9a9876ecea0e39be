// The least that Postgres must do for an order: its rows, written by pgbench with nothing else running.

import { execFile, execFileSync } from "node:child_process";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "pg";

/** What pgbench came to with the rows of orders. */
export interface Floor {
  readonly ordersPerSecond: number;
  /** CPU time of the server per order's worth of rows. */
  readonly postgresCpuMsPerOrder: number;
  readonly clients: number;
  /** Name and version. */
  readonly pgbench: string;
}

const clients = 16;
const products = 100;
/** Every product can be sold as often as a run lasts. */
const pieces = 1_000_000_000;
const script = fileURLToPath(new URL("floor.sql", import.meta.url));

/** As the services have it: a plan that is made for empty tables must not be one that reads them whole. */
const planOptions = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/** The tables of all services that an order writes to, in one database. */
const schemas = [
  "../../kit/migrations/",
  ...["orders", "inventory", "payments", "shipping"].map((name) => `../../services/${name}/migrations/`),
].map((path) => new URL(path, import.meta.url));

/** Finds pgbench on the path or where Debian puts it (package postgresql); undefined where it is not installed. */
export function findPgbench(): string | undefined {
  const candidates = ["pgbench", ...globSync("/usr/lib/postgresql/*/bin/pgbench").toSorted().toReversed()];
  return candidates.find((candidate) => versionOf(candidate) !== undefined);
}

function versionOf(pgbench: string): string | undefined {
  try {
    return execFileSync(pgbench, ["--version"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** Writes orders' rows for `seconds` into an empty database; `cpuMs` reads the server's CPU time. */
export async function measureFloor(options: {
  readonly pgbench: string;
  readonly databaseUrl: string;
  readonly seconds: number;
  readonly cpuMs: () => number;
}): Promise<Floor> {
  const { pgbench, databaseUrl, seconds, cpuMs } = options;
  await createTables(databaseUrl);
  const before = cpuMs();
  const plan = ["--no-vacuum", "--protocol=prepared", `--client=${clients}`, `--time=${seconds}`];
  const { password, href } = withoutPassword(databaseUrl);
  const args = [...plan, "--define=turn=0", `--file=${script}`, href];
  const env = { ...process.env, PGPASSWORD: password, PGOPTIONS: planOptions };
  const { stdout } = await promisify(execFile)(pgbench, args, { env });
  const orders = numberIn(stdout, /number of transactions actually processed: (\d+)/);
  return {
    ordersPerSecond: numberIn(stdout, /tps = ([\d.]+)/),
    postgresCpuMsPerOrder: (cpuMs() - before) / orders,
    clients,
    pgbench: versionOf(pgbench) ?? pgbench,
  };
}

/** Arguments are shown to everybody, and in errors. */
function withoutPassword(databaseUrl: string) {
  const { password } = new URL(databaseUrl);
  return { password, href: Object.assign(new URL(databaseUrl), { password: "" }).href };
}

async function createTables(databaseUrl: string) {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    for (const folder of schemas)
      for (const file of readdirSync(folder).toSorted())
        await client.query(readFileSync(new URL(file, folder), "utf8"));
    await client.query(
      `insert into stock (sku, on_hand, updated_at)
       select 'sku_' || n, ${pieces}, souk_now() from generate_series(1, ${products}) n`,
    );
  } finally {
    await client.end();
  }
}

function numberIn(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`pgbench said nothing of ${pattern}:\n${output}`);
  return Number(found);
}
