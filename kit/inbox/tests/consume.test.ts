import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  StockLowSchema,
  StockReplenishedSchema,
  StockReservedSchema,
} from "#gen/souk/inventory/v1/events_pb.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { type Consumer, type EventContext, on } from "#kit/inbox/inbox.ts";
import { deleteForgotten } from "#kit/inbox/statements.ts";
import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { connectForeignEvents, type ForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let foreign: ForeignEvents;
let stops: (() => Promise<void>)[];

beforeEach(async () => {
  parts = await openParts();
  foreign = await connectForeignEvents(parts.prefix);
  stops = [() => foreign.close()];
});
afterEach(async () => {
  for (const stop of stops.toReversed()) await stop();
  await parts.close();
});

function consume(consumers: readonly Consumer[], of = parts) {
  const stopping = new AbortController();
  const ended = runConsumers({ ...of, service: "counters", consumers }, stopping.signal);
  const stop = async () => {
    stopping.abort();
    await ended;
  };
  stops.push(stop);
  return { stop };
}

/** Counts each event under its SKU. */
const count = on(StockLowSchema, {
  apply: async (tx, { sku, available }) => void (await addTo(tx, sku, available)),
});

const low = (sku: string, available = 1, eventId = newUuid()) => ({
  message: { sku, available },
  aggregateVersion: 1,
  eventId,
});
const publishLow = (...events: ReturnType<typeof low>[]) => foreign.publish(StockLowSchema, events);

const stands = (sku: string, at: bigint, withinMs?: number) =>
  eventually(async () => expect(await readCounter(parts.db, sku)).toBe(at), withinMs);

const durable = () => parts.nats.manager.consumers.info(parts.stream, `counters_${parts.stream}`);

const nothingLeft = () =>
  eventually(async () => expect(await durable()).toMatchObject({ num_pending: 0, num_ack_pending: 0 }));

describe("an event", () => {
  test("that is delivered twice, at once or later, takes effect once", async () => {
    const twin = low("TWIN");
    await publishLow(twin, twin, low("OTHER"), twin);
    consume([count]);
    await stands("OTHER", 1n);
    await publishLow(twin, low("OTHER"));
    await stands("OTHER", 2n);
    await nothingLeft();
    expect(await readCounter(parts.db, "TWIN")).toBe(1n);
  });

  test("takes effect with all it is told of: id, aggregate, version, correlation and time", async () => {
    const { promise, resolve } = Promise.withResolvers<EventContext>();
    consume([on(StockLowSchema, { apply: async (_tx, _event, context) => resolve(context) })]);
    const event = { ...low("TOLD"), aggregateVersion: 41 };
    await publishLow(event);
    expect(await promise).toEqual({
      eventId: event.eventId,
      aggregateId: "TOLD",
      aggregateVersion: 41n,
      correlationId: event.eventId,
      traceparent: undefined,
      occurredAt: expect.any(Date),
      deliveries: 1,
    });
  });

  test("that fails is tried again after a growing pause, and does not hold up the others of its batch", async () => {
    const offeredAtMs = new Map<number, number>();
    const applied: string[] = [];
    const stumble = on(StockLowSchema, {
      async apply(tx, { sku }, context) {
        await addTo(tx, sku, 1);
        tx.afterCommit(() => applied.push(`${sku} ${context.deliveries}`));
        if (sku !== "STUMBLE") return;
        offeredAtMs.set(context.deliveries, performance.now());
        if (context.deliveries < 3) throw new Error("not yet");
      },
    });
    await publishLow(low("BEFORE"), low("STUMBLE"), low("AFTER"), low("AFTER"));
    consume([stumble]);
    await stands("STUMBLE", 1n);
    expect(applied).toEqual(["BEFORE 1", "AFTER 1", "AFTER 1", "STUMBLE 3"]);
    const [first = 0, second = 0, third = 0] = offeredAtMs.values();
    expect(second - first).toBeGreaterThan(190);
    expect(third - second).toBeGreaterThan(390);
    await nothingLeft();
  });

  test("of a type that nothing reacts to is acknowledged", async () => {
    const ignore = on(StockReservedSchema, { apply: async () => {} });
    consume([count, ignore]);
    await foreign.publish(StockReplenishedSchema, [{ message: { sku: "UNHEARD" }, aggregateVersion: 1 }]);
    await publishLow(low("HEARD"));
    await stands("HEARD", 1n);
    await nothingLeft();
    expect((await durable()).delivered.stream_seq).toBe(2);
  });

  test("whose acknowledgement was lost with its process is not applied again", async () => {
    const doomed = await parts.replica();
    const dying = on(StockLowSchema, {
      async apply(tx, { sku }) {
        await addTo(tx, sku, 1);
        // The process dies between COMMIT and the acknowledgement.
        tx.afterCommit(() => void doomed.nats.connection.close());
      },
    });
    const { stop } = consume([dying], doomed);
    await publishLow(low("CRASHED"));
    await stands("CRASHED", 1n);
    await stop();
    await doomed.db.close();
    expect(await durable()).toMatchObject({ num_ack_pending: 1 });
    // The server offers it again only after half a minute; without its memory of the consumer it does so at once.
    await parts.nats.manager.consumers.delete(parts.stream, `counters_${parts.stream}`);
    const offered: string[] = [];
    const again = on(StockLowSchema, {
      prepare: async ({ sku }) => void offered.push(sku),
      apply: async (tx, { sku }) => void (await addTo(tx, sku, 1)),
    });
    consume([again]);
    await publishLow(low("SENTINEL"));
    await stands("SENTINEL", 1n);
    expect(offered).toEqual(["CRASHED", "SENTINEL"]);
    expect(await readCounter(parts.db, "CRASHED")).toBe(1n);
  });
});

describe("a batch", () => {
  const note = statement("test-note", `insert into notes (text) select $1 from pg_sleep($2)`);
  const readNotes = statement("test-read-notes", `select text from notes order by seq`);

  test("keeps the order of each aggregate's events, and applies different aggregates side by side", async () => {
    const slowly = on(StockLowSchema, {
      async apply(tx: Transaction, { sku, available }) {
        // The earlier ones take longer: left to themselves they would be overtaken.
        for (let turn = available; turn < 20; turn += 1) await new Promise(setImmediate);
        await tx.query(note, [`${sku}-${available}`, Math.random() * 0.004]);
      },
    });
    const skus = ["A", "B", "C", "D", "E"];
    const events = Array.from({ length: 100 }, (_, n) => low(skus[n % 5] ?? "", Math.floor(n / 5)));
    await publishLow(...events);
    consume([slowly]);
    const texts = await eventually(async () => {
      const rows = await parts.db.query<{ text: string }>(readNotes);
      expect(rows).toHaveLength(100);
      return rows.map(({ text }) => text);
    });
    for (const sku of skus) {
      const own = texts.filter((text) => text.startsWith(`${sku}-`));
      expect(own).toEqual(Array.from({ length: 20 }, (_, n) => `${sku}-${n}`));
    }
  });

  test("is one transaction", async () => {
    const events = Array.from({ length: 60 }, (_, n) => low(`ONE-${n}`));
    await publishLow(...events);
    consume([count]);
    await stands("ONE-59", 1n);
    const [row] = await parts.asOwner(`select count(distinct xmin::text)::int as n from kit.inbox`);
    expect(row?.n).toBeLessThanOrEqual(3);
  });
});

describe("two replicas", () => {
  test("share the work, and apply each event once", async () => {
    const other = await parts.replica();
    const handled = { here: 0, there: 0 };
    const countingIn = (place: keyof typeof handled) =>
      on(StockLowSchema, {
        async apply(tx, { sku }) {
          await addTo(tx, sku, 1);
          tx.afterCommit(() => {
            handled[place] += 1;
          });
        },
      });
    consume([countingIn("here")]);
    consume([countingIn("there")], other);
    stops.unshift(() => other.close());
    await eventually(async () => expect((await durable()).num_waiting).toBeGreaterThan(1));
    await publishLow(...Array.from({ length: 1_200 }, (_, n) => low(`SHARED-${n % 40}`)));
    const total = `select sum(value)::int as n, max(value)::int as most from counters`;
    await eventually(async () => expect(await parts.asOwner(total)).toEqual([{ n: 1_200, most: 30 }]));
    expect(handled.here).toBeGreaterThan(100);
    expect(handled.there).toBeGreaterThan(100);
    expect(handled.here + handled.there).toBe(1_200);
    await nothingLeft();
  });

  test("one of which stops: what it had fetched and not begun is applied by the other at once", async () => {
    const other = await parts.replica();
    stops.unshift(() => other.close());
    const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const stuck = on(StockLowSchema, {
      async apply(tx, { sku }) {
        begun.resolve();
        await mayEnd.promise;
        await addTo(tx, sku, 1);
      },
    });
    await publishLow(...Array.from({ length: 300 }, (_, n) => low(`FETCHED-${n}`)));
    const { stop } = consume([stuck], other);
    stops.push(async () => mayEnd.resolve());
    await begun.promise;
    await eventually(async () => expect((await durable()).num_ack_pending).toBe(300));
    const pulls = (await durable()).num_waiting;
    consume([count]);
    await eventually(async () => expect((await durable()).num_waiting).toBeGreaterThan(pulls));
    const stopped = stop();
    mayEnd.resolve();
    await stopped;
    const total = `select count(*)::int as n, max(value)::int as most from counters`;
    await eventually(async () => expect(await parts.asOwner(total)).toEqual([{ n: 300, most: 1 }]), 5_000);
  });

  test("one of which stops: what was on its way to it is applied by the other at once", async () => {
    const other = await parts.replica();
    stops.unshift(() => other.close());
    const { stop } = consume([count], other);
    await eventually(async () => expect((await durable()).num_waiting).toBeGreaterThan(0));
    const publishing = publishLow(...Array.from({ length: 300 }, (_, n) => low(`COMING-${n}`)));
    await new Promise(setImmediate);
    // This process does nothing, so that what the server sends meanwhile has arrived and is not read when the consumer stops.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    await Promise.all([publishing, stop()]);
    consume([count]);
    const total = `select count(*)::int as n, max(value)::int as most from counters`;
    // The server itself may drop a few, and has them again after half a minute, as it had all that the consumer dropped.
    const applied = async () => ((await parts.asOwner(total)) as [{ n: number; most: number }])[0];
    await eventually(async () => expect((await applied()).n).toBeGreaterThan(280), 15_000);
    expect((await applied()).most).toBe(1);
  });
});

test("what was applied is forgotten when no delivery can come any more, so many at a time, and nothing younger", async () => {
  await parts.asOwner(`insert into kit.inbox (consumer, event_id, applied_at)
    select 'counters', gen_random_uuid(), now() - interval '14 days 1 minute' from generate_series(1, 10500)`);
  await parts.asOwner(`insert into kit.inbox (consumer, event_id, applied_at)
    select 'counters', gen_random_uuid(), now() - interval '13 days 23 hours' from generate_series(1, 20)`);
  const kept = () =>
    parts.asOwner(`select count(*) filter (where applied_at < now() - interval '14 days')::int as old,
      count(*) filter (where applied_at >= now() - interval '14 days')::int as young from kit.inbox`);
  await parts.db.query(deleteForgotten);
  expect(await kept()).toEqual([{ old: 500, young: 20 }]);
  consume([count]);
  await eventually(async () => expect(await kept()).toEqual([{ old: 0, young: 20 }]));
});

test("consuming that is told to stop while it begins ends at once", async () => {
  for (let turns = 0; turns < 30; turns += 3) {
    const { stop } = consume([count]);
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    await stop();
  }
  await publishLow(low("NEXT"));
  consume([count]);
  await stands("NEXT", 1n);
}, 10_000);

test("how many events wait is measured", async () => {
  const never = on(StockLowSchema, { apply: () => Promise.reject(new Error("never")) });
  await publishLow(low("WAITING-1"), low("WAITING-2"), low("WAITING-3"));
  consume([never]);
  const gauge = async () =>
    /^consumer_pending_messages\{consumer="([^"]+)"\} (\d+)$/m.exec(await parts.metrics.registry.metrics());
  await eventually(async () => expect((await gauge())?.slice(1)).toEqual([`counters_${parts.stream}`, "3"]));
});
