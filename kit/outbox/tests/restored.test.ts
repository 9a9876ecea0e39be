import { fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { eventually, testEnvironment } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

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

function startRelay(of: Parts) {
  const stopping = new AbortController();
  const { wake, run } = createRelay(of);
  const ended = run(stopping.signal);
  stack.defer(async () => {
    stopping.abort();
    await ended;
  });
  return { wake };
}

const tell = ({ db }: Parts, sku: string) =>
  db.transaction(async (tx) => {
    announce(tx, StockLowSchema, { sku, available: 1 }, { aggregateVersion: 1, correlationId: "corr" });
  });
const skusIn = async (of: Parts) =>
  (await of.published()).map(({ data }) => fromBinary(StockLowSchema, data).sku);
const allPublished = (of: Parts, skus: readonly string[]) =>
  eventually(async () => expect(new Set(await skusIn(of))).toEqual(new Set(skus)));
const republished = (of: Parts) =>
  eventually(async () => expect(await of.asOwner("select from kit.republication")).toEqual([]));

test("a cursor ahead of the server's transactions is noticed, and new events are published again", async () => {
  const parts = await open();
  await tell(parts, "WAITING");
  await parts.asOwner(`update kit.relay_cursor set xid = '1000000000000', seq = 7`);
  startRelay(parts);
  await allPublished(parts, ["WAITING"]);
  await republished(parts);
  await tell(parts, "NEW");
  await allPublished(parts, ["WAITING", "NEW"]);
  const [cursor] = await parts.asOwner(
    "select xid::text::bigint < 1000000000000 as near from kit.relay_cursor",
  );
  expect(cursor).toEqual({ near: true });
});

test("a dump loaded into a new cluster loses no event, waiting, published or written before it was noticed", async () => {
  const source = await open();
  for (const sku of ["PUBLISHED", "WAITING", "FAR-AHEAD"]) await tell(source, sku);
  // As a server of long service has them: ids that the new cluster will not reach for years, and one it is about to.
  await source.asOwner(
    `update kit.outbox set xid = (case headers ->> 'ce-subject' when 'PUBLISHED' then '900000000000'
        when 'WAITING' then '900000000001' else '900000000002' end)::xid8;
     update kit.relay_cursor set xid = '900000000000', seq = 1000, system_id = 1`,
  );
  await using cluster = await startOwnStore("postgres");
  const target = await open({ postgresUrl: cluster.url, natsUrl: testEnvironment().natsUrl });
  await load(source, target);
  await tell(target, "BEFORE-NOTICED");
  startRelay(target);
  const all = ["PUBLISHED", "WAITING", "FAR-AHEAD", "BEFORE-NOTICED"];
  await allPublished(target, all);
  await republished(target);
  for (const sku of ["AFTER-1", "AFTER-2"]) await tell(target, sku);
  await allPublished(target, [...all, "AFTER-1", "AFTER-2"]);
  const ids = (await target.published()).map(({ headers }) => headers?.get("ce-id"));
  expect(ids.length).toBe(new Set(ids).size);
  await stack.disposeAsync();
});

test("a cursor of another cluster is noticed also where its transaction id has been reached here", async () => {
  const parts = await open();
  for (const sku of ["PUBLISHED", "PASSED-OVER"]) await tell(parts, sku);
  // The restored cursor was ahead when these were written, and no longer is.
  await parts.asOwner(
    `update kit.relay_cursor c set xid = (select max(xid) from kit.outbox), seq = (select max(seq) from kit.outbox), system_id = 1`,
  );
  startRelay(parts);
  await allPublished(parts, ["PUBLISHED", "PASSED-OVER"]);
});

/** What pg_dump writes and psql reads back, for the tables of the outbox. */
async function load(source: Parts, target: Parts) {
  const columns = `xid::text, seq::text, day, event_id, subject, headers::text, encode(payload, 'hex') as payload`;
  const rows = await source.asOwner(`select ${columns} from kit.outbox`);
  for (const row of rows) {
    const subject = String(row.subject).replace(source.prefix, target.prefix);
    await target.asOwner(
      `insert into kit.outbox (xid, seq, day, event_id, subject, headers, payload)
       values ('${row.xid}', ${row.seq}, ${row.day}, '${row.event_id}', '${subject}', '${row.headers}', '\\x${row.payload}')`,
    );
  }
  const [cursor] = await source.asOwner(`select xid::text, seq::text, system_id::text from kit.relay_cursor`);
  await target.asOwner(
    `update kit.relay_cursor set xid = '${cursor?.xid}', seq = ${cursor?.seq}, system_id = ${cursor?.system_id};
     select setval('kit.outbox_seq', ${rows.length})`,
  );
}
