// Everything the shop and the outside world have on record, and how the shop's processes fare.

import { Client } from "pg";
import { eventually } from "#kit/testing/testing.ts";
import { urlOf } from "../../tools/start/processes.ts";
import { readUsages } from "../../tools/top/process-usage.ts";
import type { Shop } from "../shop.ts";

/** What a record holds, as one hash, by its name: `orders.order_events`, `card-processor`. */
export type Records = Readonly<Record<string, string>>;

/** Reads all records. Remembered answers are none: a refusal may be remembered. */
export interface RecordReader {
  read(): Promise<Records>;
  /** Reads them once nothing changes any more. */
  readAtRest(): Promise<Records>;
  close(): Promise<void>;
}

/** The chassis' tables in which a command leaves something behind. */
const chassisTables = ["kit.outbox", "kit.sagas", "kit.inbox"];

/** Opens a connection to each service's database. */
export async function openRecords(shop: Shop): Promise<RecordReader> {
  const names = Object.keys(shop.processes.databases);
  const databases = await Promise.all(names.map((name) => openDatabase(shop, name)));
  const read = async () => {
    const parts = await Promise.all([...databases.map(readDatabase), readLedgers(shop)]);
    return Object.assign({}, ...parts) as Records;
  };
  return {
    read,
    readAtRest: () => readAtRest(read),
    close: async () => void (await Promise.all(databases.map(({ client }) => client.end()))),
  };
}

interface OpenDatabase {
  readonly name: string;
  readonly client: Client;
  readonly tables: readonly string[];
}

async function openDatabase(shop: Shop, name: string): Promise<OpenDatabase> {
  const client = new Client({ connectionString: shop.processes.databases[name]?.ownerUrl });
  await client.connect();
  const { rows } = await client.query<{ tablename: string }>(
    // What reconciliation notes for itself, each minute, is no record of the shop's.
    "select tablename from pg_tables where schemaname = 'public' and tablename not like '%checkpoints'",
  );
  return { name, client, tables: [...rows.map(({ tablename }) => tablename), ...chassisTables] };
}

async function readDatabase({ name, client, tables }: OpenDatabase): Promise<Records> {
  const hashOf = (table: string) =>
    `(select md5(coalesce(string_agg(t::text, ' ' order by t::text), '')) from ${table} t)`;
  const columns = tables.map((table) => `${hashOf(table)} as "${name}.${table}"`);
  const { rows } = await client.query<Record<string, string>>(`select ${columns.join(", ")}`);
  return rows[0] ?? {};
}

async function readLedgers({ processes: { ports, secrets } }: Shop): Promise<Records> {
  const read = async (url: string, key: string) => {
    const headers = { authorization: `Bearer ${key}` };
    const answer = await fetch(`${url}/sandbox/ledger`, { headers, signal: AbortSignal.timeout(10_000) });
    return await answer.text();
  };
  const [processor = "", carrier = ""] = await Promise.all([
    read(urlOf(ports["card-processor"]), secrets.cardProcessorKey),
    read(urlOf(ports.carrier), secrets.carrierKey),
  ]);
  return { "card-processor": processor, carrier };
}

const quietReads = 3;

async function readAtRest(read: () => Promise<Records>): Promise<Records> {
  let last = JSON.stringify(await read());
  let quiet = 0;
  return await eventually(async () => {
    const records = await read();
    const now = JSON.stringify(records);
    quiet = now === last ? quiet + 1 : 0;
    last = now;
    if (quiet < quietReads) throw new Error("the shop is not at rest");
    return records;
  }, 20_000);
}

/** Process ids of everything that runs, by name: one that was started anew has another. */
export function readPids({ processes }: Shop): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries([...processes.byName].map(([name, { pid }]) => [name, pid]));
}

/** Bytes that each process occupies, by name. */
export function readMemory({ processes }: Shop): ReadonlyMap<string, number> {
  const pids = [...processes.byName].flatMap(([name, { pid }]) => (pid === undefined ? [] : [{ name, pid }]));
  const usages = readUsages(pids.map(({ pid }) => pid));
  return new Map(pids.map(({ name, pid }) => [name, usages.get(pid)?.memoryBytes ?? 0]));
}
