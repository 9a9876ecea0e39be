import { fromBinary } from "@bufbuild/protobuf";
import { nanos } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { StockSchema } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { on } from "#kit/inbox/inbox.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createPublisher } from "#kit/outbox/publish.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { eventually, testEnvironment } from "#kit/testing/testing.ts";
import { openParts, type Parts, runSql } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let running: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  parts = await openParts();
});
beforeEach(() => {
  running = [];
  return async () => {
    await Promise.all(running.map((relay) => relay.stop()));
  };
});
afterAll(() => parts.close());

const tell = (tx: Transaction, sku: string) =>
  announce(tx, StockLowSchema, { sku, available: 1 }, { aggregateVersion: 3, correlationId: "corr-1" });
const announceOne = (sku: string, to = parts) => to.db.transaction(async (tx) => tell(tx, sku));

function startRelay(of: Parts) {
  const stopping = new AbortController();
  const { wake, run } = createRelay(of);
  const ended = run(stopping.signal);
  const relay = {
    wake,
    async stop() {
      stopping.abort();
      await ended;
    },
  };
  running.push(relay);
  return relay;
}

const skusIn = async (of: Parts) =>
  (await of.published()).map((message) => fromBinary(StockLowSchema, message.data).sku);

/** Counts each event by its SKU, until one has been counted. */
async function consumeUntil(of: Parts, sku: string) {
  const stopping = new AbortController();
  const count = on(StockLowSchema, { apply: async (tx, event) => void (await addTo(tx, event.sku, 1)) });
  const consuming = runConsumers({ ...of, service: "counters", consumers: [count] }, stopping.signal);
  await eventually(async () => expect(await readCounter(of.db, sku)).toBeGreaterThan(0n));
  stopping.abort();
  await consuming;
}

const seen = (sku: string, of = parts, withinMs?: number) =>
  eventually(async () => expect(await skusIn(of)).toContain(sku), withinMs);

const emptyDays = statement("test-empty-days", `select kit.empty_outbox_days()`);

const keptIn = async (of: Parts) =>
  (await of.asOwner(`select headers ->> 'ce-subject' as sku from kit.outbox order by xid, seq`)).map(
    ({ sku }) => sku,
  );

/** Waits until all there is has been published. */
const cursorAtEnd = (of: Parts) =>
  eventually(async () => {
    const behind = `select from kit.outbox o, kit.relay_cursor c where (o.xid, o.seq) > (c.xid, c.seq)`;
    expect(await of.asOwner(behind)).toEqual([]);
  });

describe("an event", () => {
  test("is published if and only if its transaction commits", async () => {
    startRelay(parts);
    const broken = statement("test-broken", `select 1 / 0`);
    const brokenInsert = statement(
      "test-broken-insert",
      `insert into counters (name, value) values ('x', 1 / 0)`,
    );
    await announceOne("KEPT");
    const failures = [
      parts.db.transaction(async (tx) => {
        tell(tx, "THROWN");
        throw new Error("the work gave up");
      }),
      parts.db.transaction(async (tx) => {
        tell(tx, "BROKEN");
        await tx.query(broken).catch(() => {});
      }),
      parts.db.transaction(async (tx) => {
        tell(tx, "LATE");
        tx.beforeCommit(() => ({ statement: brokenInsert, values: [] }));
      }),
    ];
    const outcomes = await Promise.allSettled(failures);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await parts.db.transaction(async (tx) => {
      tell(tx, "LAST-1");
      tell(tx, "LAST-2");
    });
    await seen("LAST-2");
    expect(await skusIn(parts)).toEqual(["KEPT", "LAST-1", "LAST-2"]);
  });

  test("carries the attributes of CloudEvents as headers, and its id as the message's", async () => {
    const relay = startRelay(parts);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await parts.db.transaction(async (tx) => {
      const about = { aggregateVersion: 12n, correlationId: "corr-7", causationId: "command-1", traceparent };
      announce(tx, StockLowSchema, { sku: "CLOUD", available: 4 }, about);
    });
    relay.wake();
    await seen("CLOUD");
    const message = (await parts.published()).at(-1);
    const header = (name: string) => message?.headers?.get(name);
    expect(message?.subject).toBe(`${parts.prefix}.inventory.v1.StockLow`);
    expect(fromBinary(StockLowSchema, message?.data ?? new Uint8Array())).toMatchObject({ available: 4 });
    expect(header("ce-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(header("Nats-Msg-Id")).toBe(header("ce-id"));
    expect(Math.abs(Date.now() - Date.parse(header("ce-time") ?? ""))).toBeLessThan(60_000);
    const plain = ["ce-specversion", "ce-source", "ce-type", "ce-subject", "ce-dataschema", "content-type"];
    expect(plain.map(header)).toEqual([
      "1.0",
      "counters",
      "souk.inventory.v1.StockLow",
      "CLOUD",
      "souk/inventory/v1/events",
      "application/protobuf",
    ]);
    const own = [
      "souk-aggregate",
      "souk-aggregate-version",
      "x-correlation-id",
      "x-causation-id",
      "traceparent",
    ];
    expect(own.map(header)).toEqual(["stock", "12", "corr-7", "command-1", traceparent]);
  });

  test("whose header has an end of line in it is published, and that header stays one", async () => {
    startRelay(parts);
    const correlationId = "corr\r\nNats-Msg-Id: other\r\n\r\nbody";
    await parts.db.transaction(async (tx) =>
      announce(
        tx,
        StockLowSchema,
        { sku: "TWO-LINES", available: 1 },
        { aggregateVersion: 1, correlationId },
      ),
    );
    await seen("TWO-LINES");
    const headers = (await parts.published()).at(-1)?.headers;
    expect(headers?.get("x-correlation-id")).toBe("corr Nats-Msg-Id: other body");
    expect(headers?.get("Nats-Msg-Id")).toBe(headers?.get("ce-id"));
  });

  test("is refused where its message is not declared to be one, with all that was written beside it", async () => {
    const work = parts.db.transaction(async (tx) => {
      tell(tx, "BESIDE");
      announce(tx, StockSchema, {}, { aggregateVersion: 1, correlationId: "corr" });
    });
    await expect(work).rejects.toThrow(/not declared to be an event/);
    startRelay(parts);
    await announceOne("AFTER-REFUSAL");
    await seen("AFTER-REFUSAL");
    expect(await skusIn(parts)).not.toContain("BESIDE");
  });
});

describe("a batch", () => {
  const eventOf = (subject: string, payload = Buffer.alloc(0)) => ({
    event_id: crypto.randomUUID(),
    subject,
    headers: {},
    payload,
  });

  test("of which one event has no stream is refused with that stream made, and the others are there", async () => {
    using publisher = createPublisher(parts.nats);
    const [here, nowhere] = [`${parts.prefix}.inventory.v1.Here`, `${parts.prefix}.nowhere.v1.Gone`];
    await publisher.publishAll([eventOf(here)]);
    const batch = [eventOf(here), eventOf(nowhere), eventOf(here)];
    await expect(publisher.publishAll(batch)).rejects.toThrow("no stream takes the event");
    const subjectsSeen = (await parts.published()).map(({ subject }) => subject);
    expect(subjectsSeen.filter((subject) => subject === here)).toHaveLength(3);
    await publisher.publishAll([eventOf(nowhere)]);
    await expect(publisher.publishAll([])).resolves.toBeUndefined();
  });

  test("with an event that is larger than the broker takes is refused", async () => {
    using publisher = createPublisher(parts.nats);
    const large = eventOf(`${parts.prefix}.inventory.v1.Large`, Buffer.alloc(2 * 1_024 * 1_024));
    await expect(publisher.publishAll([large])).rejects.toThrow(/max_payload/);
  });
});

describe("the relay", () => {
  test("that could not move its cursor publishes again; the stream, then the inbox, keep the effect single", async () => {
    const own = await openParts();
    await own.asOwner("revoke update on kit.relay_cursor from test_counters_app");
    startRelay(own);
    await announceOne("AGAIN", own);
    await seen("AGAIN", own);
    // Beyond its window the stream knows the id no more, and keeps what is published again.
    const { config } = await own.nats.manager.streams.info(own.stream);
    await own.nats.manager.streams.update(own.stream, { ...config, duplicate_window: nanos(100) });
    await eventually(async () => expect((await skusIn(own)).length).toBeGreaterThan(2));
    await own.asOwner("grant update on kit.relay_cursor to test_counters_app");
    const moved = `select from kit.relay_cursor where xid > '0'`;
    await eventually(async () => expect(await own.asOwner(moved)).toHaveLength(1));
    await announceOne("DONE", own);
    await seen("DONE", own);
    const ids = (await own.published()).map(({ headers }) => headers?.get("ce-id"));
    expect(new Set(ids).size).toBe(2);
    await consumeUntil(own, "DONE");
    expect(await readCounter(own.db, "AGAIN")).toBe(1n);
    await running.pop()?.stop();
    await own.close();
  });

  test("publishes a backlog in the order of transaction ids, not of their digits, and skips none of it", async () => {
    const own = await openParts();
    await announceOne("TEMPLATE", own);
    // Ids of long ago, so that they have ended; more rows than a batch holds, from two digits to four.
    await own.asOwner(
      `insert into kit.outbox (xid, event_id, subject, headers, payload)
       select (n::text)::xid8, gen_random_uuid(), subject, headers || jsonb_build_object('ce-subject', n::text), payload
         from kit.outbox, generate_series(50, 699) n order by n desc;
       delete from kit.outbox where headers ->> 'ce-subject' = 'TEMPLATE'`,
    );
    startRelay(own);
    const subjects = await eventually(async () => {
      const published = await own.published();
      expect(published.length).toBeGreaterThanOrEqual(650);
      return published.map(({ headers }) => Number(headers?.get("ce-subject")));
    });
    expect(subjects).toEqual(Array.from({ length: 650 }, (_, n) => n + 50));
    await running.pop()?.stop();
    await own.close();
  });

  test("is one per database; when its session ends, another replica's takes over", async () => {
    const other = await parts.replica();
    const first = startRelay(parts);
    const holders = `select pid from pg_locks join pg_database d on d.oid = database
                      where locktype = 'advisory' and objsubid = 2 and granted and d.datname = '${parts.database.name}'`;
    const [before] = await eventually(async () => {
      const found = await parts.asOwner(holders);
      expect(found).toHaveLength(1);
      return found;
    });
    startRelay(other);
    await announceOne("FIRST-RELAY");
    await seen("FIRST-RELAY");
    expect(await parts.asOwner(holders)).toEqual([before]);
    await first.stop();
    await announceOne("SECOND-RELAY");
    await seen("SECOND-RELAY", parts, 3_000);
    const [after] = await parts.asOwner(holders);
    expect(after).not.toEqual(before);
    await runSql(testEnvironment().postgresUrl, `select pg_terminate_backend(${after?.pid})`);
    await announceOne("LATER-SESSION");
    await seen("LATER-SESSION", parts, 3_000);
    await running.pop()?.stop();
    await other.close();
  });

  test("tells how many events wait, and how long", async () => {
    const own = await openParts();
    await own.asOwner("revoke update on kit.relay_cursor from test_counters_app");
    await Promise.all(["WAIT-1", "WAIT-2", "WAIT-3"].map((sku) => announceOne(sku, own)));
    await own.asOwner("update kit.outbox set created_at = created_at - interval '90 seconds'");
    startRelay(own);
    const gauge = async (name: string) =>
      Number(new RegExp(`^${name} (.+)$`, "m").exec(await own.metrics.registry.metrics())?.[1]);
    await eventually(async () => expect(await gauge("outbox_pending_events")).toBe(3));
    expect(Math.floor((await gauge("outbox_oldest_age_seconds")) / 10)).toBe(9);
    await own.asOwner("grant update on kit.relay_cursor to test_counters_app");
    await eventually(async () => expect(await gauge("outbox_pending_events")).toBe(0));
    expect(await gauge("outbox_oldest_age_seconds")).toBe(0);
    await running.pop()?.stop();
    await own.close();
  });

  test("lets go of what was published days ago, and of nothing that was not", async () => {
    const own = await openParts();
    const relay = startRelay(own);
    await announceOne("OLD-PUBLISHED", own);
    await cursorAtEnd(own);
    await relay.stop();
    await announceOne("OLD-WAITING", own);
    await own.database.shiftClock(2.5 * 24 * 60 * 60 * 1_000);
    await own.db.query(emptyDays);
    expect(await keptIn(own)).toEqual(["OLD-PUBLISHED", "OLD-WAITING"]);
    await own.asOwner(
      `insert into kit.outbox (day, event_id, subject, headers, payload)
       select date_part('epoch', souk_now())::bigint / 86400 % 4, gen_random_uuid(), subject,
              headers || '{"ce-subject": "YOUNG"}', payload from kit.outbox limit 1`,
    );
    const second = startRelay(own);
    await cursorAtEnd(own);
    await second.stop();
    startRelay(own);
    await eventually(async () => expect(await keptIn(own)).toEqual(["YOUNG"]));
    await running.pop()?.stop();
    await own.close();
  });
});
