import { randomUUID } from "node:crypto";
import type { JsMsg } from "@nats-io/jetstream";
import pg from "pg";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { streamName, streamSubjects } from "#kit/nats/event-names.ts";
import { connectNats, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { openOutbox } from "#kit/outbox/outbox.ts";
import { createDatabase, type Database } from "#kit/postgres/postgres.ts";
import { createLogger, createMetrics } from "#kit/telemetry/telemetry.ts";
import { cloneDatabase, type TestDatabase } from "../test-database.ts";
import { testEnvironment, testPrefix } from "../testing.ts";

/** Where the parts live; the test run's shared servers where unset. */
export interface PartsOptions {
  readonly postgresUrl?: string;
  readonly natsUrl?: string;
}

/** The parts a service is made of, as one replica has them; a second replica is made with `replica()`. */
export interface Parts {
  readonly db: Database;
  readonly database: TestDatabase;
  readonly nats: Nats;
  readonly prefix: string;
  readonly stream: string;
  readonly log: ReturnType<typeof createLogger>;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Connections of another replica of the same service. */
  replica(): Promise<Parts>;
  /** Runs SQL as the owner of the database. */
  asOwner(sql: string): Promise<Record<string, unknown>[]>;
  /** What the stream holds, oldest first. */
  published(): Promise<JsMsg[]>;
  close(): Promise<void>;
}

/** The schema of the fixture service. */
export const countersSchema = {
  name: "counters",
  migrations: new URL("../fixture/migrations/", import.meta.url),
};

/** A fresh database of the fixture service, with an outbox, and a stream of its own. */
export async function openParts(options: PartsOptions = {}): Promise<Parts> {
  const shared = testEnvironment();
  const postgresUrl = options.postgresUrl ?? shared.postgresUrl;
  const database = await cloneDatabase(postgresUrl, countersSchema);
  return await connectParts(database, testPrefix(), options.natsUrl ?? shared.natsUrl);
}

async function connectParts(database: TestDatabase, prefix: string, natsUrl: string): Promise<Parts> {
  const log = createLogger({
    service: "counters",
    level: testEnvironment().logLevel === "error" ? "silent" : "debug",
  });
  const nats = await connectNats({ url: natsUrl, name: `counters-${randomUUID()}`, log });
  const stream = streamName(StockLowSchema.file, prefix);
  await ensureStream(nats, { name: stream, subjects: streamSubjects(StockLowSchema.file, prefix) });
  const db = createDatabase({ url: database.appUrl, log });
  openOutbox(db, { source: "counters", prefix, onCommitted: () => {} });
  return {
    db,
    database,
    nats,
    prefix,
    stream,
    log,
    metrics: createMetrics(),
    replica: () => connectParts(database, prefix, natsUrl),
    asOwner: (sql) => runSql(database.ownerUrl, sql),
    published: () => readStream(nats, stream),
    async close() {
      await db.close();
      await nats.close();
    },
  };
}

/** Runs SQL on a connection of its own. */
export async function runSql(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function readStream(nats: Nats, stream: string): Promise<JsMsg[]> {
  const { state } = await nats.manager.streams.info(stream);
  if (state.messages === 0) return [];
  const consumer = await nats.jetstream.consumers.get(stream);
  const found: JsMsg[] = [];
  for await (const message of await consumer.fetch({ max_messages: state.messages, expires: 5_000 })) {
    found.push(message);
    if (found.length === state.messages) break;
  }
  return found;
}
