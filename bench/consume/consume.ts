// bench/consume: how fast one consumer applies events, each with its inbox row and one row of effect, beside the same messages taken
// from the stream bare in the same run.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { AckPolicy } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { on } from "#kit/inbox/inbox.ts";
import { eventName } from "#kit/nats/event-names.ts";
import { connectNats, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { kitMigrations, migrate } from "#kit/postgres/migrate.ts";
import { createDatabase, type Database, statement } from "#kit/postgres/postgres.ts";
import { createLogger, createMetrics, type Logger } from "#kit/telemetry/telemetry.ts";
import { createDatabases } from "../../tools/stores/databases.ts";
import { startStores } from "../../tools/stores/store-set.ts";
import { median } from "../orders/report.ts";

const prefix = "bench";
const { type, subject, stream } = eventName(StockLowSchema, prefix);
const publishedAtOnce = 500;
const appliedWithinMs = 300_000;

/** `--events 50000 --runs 3 --out FILE` */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      events: { type: "string", default: "50000" },
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
    const markdown = await measure({ db, nats, log }, Number(values.events), Number(values.runs));
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

async function measure(bench: Bench, events: number, runs: number): Promise<string> {
  const rates = { bare: [] as number[], anyOrder: [] as number[], ordered: [] as number[] };
  for (let turn = 0; turn < runs; turn += 1) {
    await fillStream(bench.nats, events);
    rates.bare.push(events / (await takeBare(bench.nats, events)));
    rates.anyOrder.push(events / (await apply(bench, events, true)));
    rates.ordered.push(events / (await apply(bench, events, false)));
  }
  const row = (name: string, of: readonly number[]) => `| ${name} | ${median(of).toFixed(0)} |`;
  return [
    "# bench/consume",
    "",
    `One consumer, ${events} events of as many aggregates that wait in the stream, each applied with its inbox row and one row of effect.`,
    "The floor is the same messages, taken and acknowledged without a database.",
    "",
    `- Machine: ${cpus().length} × ${cpus()[0]?.model.trim()}; Node ${process.version}; fsync on`,
    `- Plan: ${runs} runs, medians`,
    "- Repeat: `npm ci && npm run bench -- consume --out bench/results/consume.md`",
    "",
    "| | events per second |",
    "| --- | --- |",
    row("applied, in any order", rates.anyOrder),
    row("applied, the order of each aggregate kept", rates.ordered),
    row("taken bare", rates.bare),
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

async function fillStream(nats: Nats, events: number) {
  await nats.manager.streams.delete(stream).catch(() => false);
  await ensureStream(nats, { name: stream, subjects: `${subject.slice(0, subject.lastIndexOf("."))}.*` });
  for (let done = 0; done < events; done += publishedAtOnce) {
    const batch = Array.from({ length: Math.min(publishedAtOnce, events - done) }, (_, i) => {
      const sku = `SKU-${done + i}`;
      const message = create(StockLowSchema, { sku, available: 1 });
      return nats.jetstream.publish(subject, toBinary(StockLowSchema, message), {
        headers: attributesOf(sku),
      });
    });
    await Promise.all(batch);
  }
}

function attributesOf(sku: string) {
  const attached = headers();
  const attributes = {
    "ce-specversion": "1.0",
    "ce-id": newUuid(),
    "ce-source": "inventory",
    "ce-type": type,
    "ce-subject": sku,
    "ce-time": new Date().toISOString(),
    "souk-aggregate-version": "1",
    "souk-previous-version": "0",
    "x-correlation-id": newUuid(),
  };
  for (const [name, value] of Object.entries(attributes)) attached.set(name, value);
  return attached;
}

const insertEffect = statement(
  "bench-insert-effect",
  `insert into effects (event_id, available) values ($1, $2)`,
);
const countEffects = statement("bench-count-effects", `select count(*)::int as effects from effects`);
const emptyTables = statement(
  "bench-empty",
  `with effect as (delete from effects), inbox as (delete from kit.inbox) delete from kit.positions`,
);

/** Seconds until each event has had its effect. */
async function apply({ db, nats, log }: Bench, events: number, anyOrder: boolean): Promise<number> {
  let applied = 0;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const effect = on(StockLowSchema, {
    anyOrder,
    async apply(tx, { available }, { eventId }) {
      await tx.query(insertEffect, [eventId, available]);
      tx.afterCommit(() => {
        applied += 1;
        if (applied === events) resolve();
      });
    },
  });
  const stop = new AbortController();
  const late = setTimeout(resolve, appliedWithinMs);
  const service = `bench${newUuid().slice(-12)}`;
  const startedAt = performance.now();
  const metrics = createMetrics();
  const running = runConsumers({ service, consumers: [effect], prefix, db, nats, log, metrics }, stop.signal);
  await done;
  const seconds = (performance.now() - startedAt) / 1_000;
  clearTimeout(late);
  stop.abort();
  await running;
  const [row] = await db.query<{ effects: number }>(countEffects);
  if (row?.effects !== events) throw new Error(`${row?.effects} of ${events} events had their effect`);
  await db.query(emptyTables);
  return seconds;
}

async function takeBare({ manager, jetstream }: Nats, events: number): Promise<number> {
  const name = `bare${newUuid().slice(-12)}`;
  await manager.consumers.add(stream, {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 1_000,
  });
  const consumer = await jetstream.consumers.get(stream, name);
  const startedAt = performance.now();
  const messages = await consumer.consume({ max_messages: 400 });
  let taken = 0;
  for await (const message of messages) {
    message.ack();
    taken += 1;
    if (taken === events) break;
  }
  messages.stop();
  return (performance.now() - startedAt) / 1_000;
}
