// bench/relay: how fast one relay carries the outbox to the stream, beside the same messages published bare in the same run.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { headers } from "@nats-io/transport-node";
import { connectNats, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createDatabase, type Database, statement } from "#kit/postgres/postgres.ts";
import { createLogger, createMetrics, type Logger } from "#kit/telemetry/telemetry.ts";
import { createDatabases } from "../../tools/stores/databases.ts";
import { startStores } from "../../tools/stores/store-set.ts";
import { median } from "../orders/report.ts";
import { measureLatency } from "./latency.ts";

const stream = "bench_orders_v1";
const subject = "bench.orders.v1.OrderPlaced";
const payloadBytes = 700;
const insertedAtOnce = 1_000;
const drainedWithinMs = 300_000;
const eventsPerSecond = 500;
const latencySeconds = 20;

/** `--events 100000 --runs 3 --out FILE` */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      events: { type: "string", default: "100000" },
      runs: { type: "string", default: "3" },
      out: { type: "string" },
    },
  });
  const dataDir = mkdtempSync(join(tmpdir(), "souk-bench-"));
  const stores = await startStores({ dataDir, log: (line) => console.error(line) });
  try {
    const log = createLogger({ service: "bench", level: "warn" });
    const db = await openDatabase(stores.postgres.url, dataDir, log);
    const nats = await connectNats({ url: stores.nats.url, name: "bench", log });
    await ensureStream(nats, { name: stream, subjects: "bench.orders.v1.*" });
    const plan = { events: Number(values.events), runs: Number(values.runs), flags: args.join(" ") };
    const markdown = await measure({ db, nats, log }, plan);
    console.log(markdown);
    if (values.out) writeFileSync(values.out, markdown);
    await nats.close();
    await db.close();
  } finally {
    await stores.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Bench {
  readonly db: Database;
  readonly nats: Nats;
  readonly log: Logger;
}

interface Plan {
  readonly events: number;
  readonly runs: number;
  /** What the benchmark was called with. */
  readonly flags: string;
}

async function measure(bench: Bench, { events, runs, flags }: Plan): Promise<string> {
  const relayed: number[] = [];
  const bare: number[] = [];
  for (let turn = 0; turn < runs; turn += 1) {
    bare.push(events / (await publishBare(bench.nats, events)));
    await fillOutbox(bench.db, events);
    relayed.push(events / (await drainOutbox(bench)));
  }
  const latency = await measureLatency(
    { ...bench, metrics: createMetrics() },
    eventsPerSecond,
    latencySeconds,
  );
  const ratio = median(relayed) / median(bare);
  return [
    "# bench/relay",
    "",
    `One relay, ${events} events of ${payloadBytes} bytes, from committed in the outbox to acknowledged by the stream.`,
    "The floor is the same messages, published side by side without a database.",
    "",
    `- Machine: ${cpus().length} × ${cpus()[0]?.model.trim()}; Node ${process.version}; fsync on`,
    `- Plan: ${runs} runs, medians`,
    `- Repeat: \`npm ci && npm run bench -- relay ${flags}\``,
    "",
    "| | events per second |",
    "| --- | --- |",
    `| the relay | ${median(relayed).toFixed(0)} |`,
    `| published bare | ${median(bare).toFixed(0)} |`,
    `| ratio | ${ratio.toFixed(2)} |`,
    "",
    `From COMMIT's answer to the arrival at a subscriber, at ${eventsPerSecond} events a second, one per transaction`,
    `(${latency.events} events; the relay lingers 25 ms so that one read serves many commits):`,
    "",
    "| | milliseconds |",
    "| --- | --- |",
    `| p50 | ${latency.p50Ms.toFixed(1)} |`,
    `| p99 | ${latency.p99Ms.toFixed(1)} |`,
    "",
  ].join("\n");
}

async function openDatabase(superuserUrl: string, dataDir: string, log: Logger): Promise<Database> {
  const access = (await createDatabases(superuserUrl, ["bench"], join(dataDir, "passwords.json"))).bench;
  if (!access) throw new Error("no database was made");
  const table = "migrations_service";
  const streams = [kitMigrations, { folder: new URL("./migrations/", import.meta.url), table }];
  await migrate({ ownerUrl: access.ownerUrl, runtimeRole: "bench_app", streams, log });
  return createDatabase({ url: access.appUrl, log });
}

const insertEvents = statement(
  "bench-insert-events",
  `insert into kit.outbox (event_id, subject, headers, payload)
   select gen_random_uuid(), $2, $3, $4 from generate_series(1, $1::int)`,
);

const attributes = {
  "ce-type": "souk.orders.v1.OrderPlaced",
  "ce-source": "orders",
  "ce-specversion": "1.0",
};

async function fillOutbox(db: Database, events: number) {
  const payload = Buffer.alloc(payloadBytes, 1);
  for (let done = 0; done < events; done += insertedAtOnce) {
    await db.query(insertEvents, [insertedAtOnce, subject, attributes, payload]);
  }
}

const countPending = statement(
  "bench-count-pending",
  `select exists (select from kit.outbox o, kit.relay_cursor c where (o.xid, o.seq) > (c.xid, c.seq)) as pending`,
);

/** Seconds until the cursor stands behind the last event. */
async function drainOutbox({ db, nats, log }: Bench): Promise<number> {
  const stop = new AbortController();
  const startedAt = performance.now();
  const running = createRelay({ db, nats, log, metrics: createMetrics() }).run(stop.signal);
  while ((await db.query<{ pending: boolean }>(countPending))[0]?.pending) {
    if (performance.now() - startedAt > drainedWithinMs)
      throw new Error("the outbox was not drained in time");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  stop.abort();
  await running;
  return seconds;
}

async function publishBare({ jetstream }: Nats, events: number): Promise<number> {
  const payload = Buffer.alloc(payloadBytes, 1);
  const startedAt = performance.now();
  for (let done = 0; done < events; done += 500) {
    const batch = Array.from({ length: 500 }, () => {
      const attached = headers();
      for (const [name, value] of Object.entries(attributes)) attached.set(name, value);
      return jetstream.publish(subject, payload, { msgID: crypto.randomUUID(), headers: attached });
    });
    await Promise.all(batch);
  }
  return (performance.now() - startedAt) / 1_000;
}
