import { Client } from "pg";

/** Runs SQL and returns its rows; `bigint` comes as a bigint. */
export type Query = <Row extends object>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Patient: what the harness reads decides, and the machine may be busy. */
const connectTimeoutMs = 30_000;
const statementTimeoutMs = 60_000;
const int8 = 20;

/** Connects to one database of a server, past all links, for the time of `work`. */
export async function withDatabase<T>(
  serverUrl: string,
  database: string,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  const client = new Client({
    connectionString: url.href,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
  });
  client.on("error", () => {});
  await client.connect();
  client.setTypeParser(int8, BigInt);
  try {
    return await work(async (sql, values = []) => (await client.query(sql, [...values])).rows);
  } finally {
    await client.end();
  }
}
