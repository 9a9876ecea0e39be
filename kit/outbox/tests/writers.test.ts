import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

const hold = statement("test-hold", `select pg_sleep($1)`);
const selectAfter = statement(
  "test-naive-select",
  `select xid::text, seq, headers ->> 'ce-subject' as sku from kit.outbox
    where (xid, seq) > ($1::xid8, $2::bigint) order by xid, seq`,
);

const tell = (tx: Transaction, sku: string) =>
  announce(tx, StockLowSchema, { sku, available: 1 }, { aggregateVersion: 1, correlationId: "corr" });

/** A relay as one writes it first: it reads whatever is visible behind its cursor. */
function createNaiveRelay() {
  const cursor = { xid: "0", seq: 0n };
  const found: string[] = [];
  return {
    found,
    async poll() {
      const rows = await parts.db.query<{ xid: string; seq: bigint; sku: string }>(selectAfter, [
        cursor.xid,
        cursor.seq,
      ]);
      found.push(...rows.map(({ sku }) => sku));
      const last = rows.at(-1);
      if (last) Object.assign(cursor, { xid: last.xid, seq: last.seq });
    },
  };
}

test("with 16 writers at once, some of them slow, no event is lost or skipped, though a naive cursor loses some", async () => {
  const stopping = new AbortController();
  const relay = createRelay(parts);
  const relaying = relay.run(stopping.signal);
  const naive = createNaiveRelay();
  let writing = true;
  const polling = (async () => {
    while (writing) await naive.poll();
  })();

  const [slowHolds, slowMayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slowest = parts.db.transaction(async (tx) => {
    await addTo(tx, "slowest", 1);
    slowHolds.resolve();
    await slowMayEnd.promise;
    tell(tx, "SLOWEST");
  });
  await slowHolds.promise;
  const writer = async (number: number) => {
    for (let n = 0; n < 25; n += 1)
      await parts.db.transaction(async (tx) => {
        await addTo(tx, `writer-${number}`, 1);
        if ((number + n) % 3 === 0) await tx.query(hold, [Math.random() * 0.02]);
        tell(tx, `W${number}-${n}`);
        relay.wake();
      });
  };
  await Promise.all(Array.from({ length: 15 }, (_, number) => writer(number)));
  await eventually(() => expect(naive.found.length).toBeGreaterThan(100));
  slowMayEnd.resolve();
  await slowest;

  const all = [
    "SLOWEST",
    ...Array.from({ length: 375 }, (_, n) => `W${Math.floor(n / 25)}-${n % 25}`),
  ].sort();
  const published = await eventually(async () => {
    const skus = (await parts.published()).map((message) => fromBinary(StockLowSchema, message.data).sku);
    expect(skus.length).toBeGreaterThanOrEqual(all.length);
    return skus;
  });
  await naive.poll();
  writing = false;
  await polling;
  stopping.abort();
  await relaying;
  expect(published.toSorted()).toEqual(all);
  // Its transaction was the first to write, so no event of a later one may have overtaken it.
  expect(published[0]).toBe("SLOWEST");
  expect(naive.found).not.toContain("SLOWEST");
  for (const number of Array.from({ length: 15 }, (_, n) => n)) {
    const own = published.filter((sku) => sku.startsWith(`W${number}-`));
    expect(own).toEqual(Array.from({ length: 25 }, (_, n) => `W${number}-${n}`));
  }
});
