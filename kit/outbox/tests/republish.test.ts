import { rmSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { on } from "#kit/inbox/inbox.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { republishSince } from "#kit/outbox/republish.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

/** What takes a moment on an idle machine may take long on a busy one; nothing waits longer than it must. */
const patienceMs = 30_000;

let stack: AsyncDisposableStack;

beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function open(options?: Parameters<typeof openParts>[0]) {
  const parts = await openParts(options);
  stack.defer(() => parts.close());
  return parts;
}

function start(run: (signal: AbortSignal) => Promise<void>) {
  const stopping = new AbortController();
  const ended = run(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await ended;
  };
  stack.defer(stop);
  return { stop };
}

const startRelay = (of: Parts) => start(createRelay(of).run);

const tell = ({ db }: Parts, sku: string) =>
  db.transaction(async (tx) => {
    announce(tx, StockLowSchema, { sku, available: 1 }, { aggregateVersion: 1, correlationId: "corr" });
  });
const republish = (of: Parts, since: Date) => of.db.transaction((tx) => republishSince(tx, since));
const ended = (of: Parts) =>
  eventually(async () => expect(await of.asOwner("select from kit.republication")).toEqual([]), patienceMs);
const anHourAgo = () => new Date(Date.now() - 3_600_000);

const insertMany = statement(
  "test-insert-many",
  `insert into kit.outbox (event_id, subject, headers, payload)
   select gen_random_uuid(), $1, '{}', $2 from generate_series(1, $3::int)`,
);

/** Events of long ago and of now, published; the stream then loses them. */
async function publishedAndLost(parts: Parts, { events }: { readonly events: number }) {
  const payload = toBinary(StockLowSchema, fromBinary(StockLowSchema, new Uint8Array()));
  await parts.db.query(insertMany, [`${parts.prefix}.inventory.v1.StockLow`, payload, events]);
  const relay = startRelay(parts);
  await eventually(async () => {
    const { state } = await parts.nats.manager.streams.info(parts.stream);
    expect(state.messages).toBe(events);
  }, patienceMs);
  await eventually(async () => expect(await parts.asOwner(behind)).toEqual([]), patienceMs);
  await relay.stop();
  await parts.nats.manager.streams.delete(parts.stream);
}

const behind = `select from kit.outbox o, kit.relay_cursor c where (o.xid, o.seq) > (c.xid, c.seq)`;
const countIn = async (parts: Parts) => (await parts.nats.manager.streams.info(parts.stream)).state.messages;

test("events since a point in time are published again, older ones are not, and the stream is made anew", {
  timeout: 4 * patienceMs,
}, async () => {
  const parts = await open();
  await publishedAndLost(parts, { events: 1_300 });
  await parts.asOwner(
    `update kit.outbox set created_at = now() - interval '3 hours' where (xid, seq) in
       (select xid, seq from kit.outbox order by xid, seq limit 700)`,
  );
  expect(await republish(parts, anHourAgo())).toBe(600n);
  startRelay(parts);
  await ended(parts);
  expect(await countIn(parts)).toBe(600);
  await tell(parts, "NEW");
  await eventually(async () => expect(await countIn(parts)).toBe(601), patienceMs);
});

test("a republication goes on where its relay died, and a request while one is open begins it again", {
  timeout: 4 * patienceMs,
}, async () => {
  const parts = await open();
  await publishedAndLost(parts, { events: 1_300 });
  await republish(parts, anHourAgo());
  const [first] = await parts.asOwner(
    `select xid::text, seq::text from kit.outbox order by kit.outbox.xid, kit.outbox.seq offset 999 limit 1`,
  );
  await parts.asOwner(`update kit.republication set xid = '${first?.xid}', seq = ${first?.seq}`);
  const relay = startRelay(parts);
  await ended(parts);
  await relay.stop();
  expect(await countIn(parts)).toBe(300);
  await republish(parts, anHourAgo());
  await parts.asOwner(`update kit.republication set xid = '${first?.xid}', seq = ${first?.seq}`);
  await republish(parts, new Date(Date.now() + 3_600_000));
  startRelay(parts);
  await ended(parts);
  await eventually(async () => expect(await countIn(parts)).toBe(1_300), patienceMs);
});

test("the broker loses its data under load: after republishing, every event has been applied exactly once", {
  timeout: 4 * patienceMs,
}, async () => {
  await using broker = await startOwnStore("nats");
  const parts = await open({ natsUrl: broker.url });
  const since = new Date();
  const consume = (service: string) => {
    const count = on(StockLowSchema, {
      apply: async (tx, { sku }) => void (await addTo(tx, `${service} ${sku}`, 1)),
    });
    start((signal) => runConsumers({ ...parts, service, consumers: [count] }, signal));
  };
  startRelay(parts);
  consume("prompt");
  let [writing, told] = [true, 0];
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; writing; n += 1) {
      await tell(parts, `W${writer}-${n}`);
      told += 1;
    }
  });
  await eventually(() => expect(told).toBeGreaterThan(200), patienceMs);
  await broker.kill("SIGKILL");
  rmSync(join(broker.dataDir, "jetstream"), { recursive: true });
  await broker.start();
  // What it has to hear was in the stream that is lost.
  consume("late");
  const before = told;
  await eventually(() => expect(told).toBeGreaterThan(before + 200), patienceMs);
  await republish(parts, since);
  writing = false;
  await Promise.all(writers);
  const tally = `select count(*)::int as counters, sum(value)::int as effects from counters`;
  await eventually(
    async () => expect(await parts.asOwner(tally)).toEqual([{ counters: 2 * told, effects: 2 * told }]),
    patienceMs,
  );
  await ended(parts);
  expect(await parts.asOwner(tally)).toEqual([{ counters: 2 * told, effects: 2 * told }]);
  await stack.disposeAsync();
});
