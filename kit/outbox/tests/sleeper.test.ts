import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let other: Parts;
let stopRelay: () => Promise<void>;

beforeEach(async () => {
  [parts, other] = await Promise.all([openParts(), openParts()]);
  const stopping = new AbortController();
  const relaying = createRelay({ ...parts, housekeepingEveryMs: 100 }).run(stopping.signal);
  stopRelay = async () => {
    stopping.abort();
    await relaying;
  };
});
afterEach(async () => {
  await stopRelay();
  await parts.close();
  await other.close();
});

const tell = () =>
  parts.db.transaction(async (tx) => {
    announce(
      tx,
      StockLowSchema,
      { sku: "LATE", available: 1 },
      { aggregateVersion: 1, correlationId: "corr" },
    );
  });

/** A transaction in another service's database that has an id, and then does nothing. */
async function startSleeper() {
  const client = new pg.Client({ connectionString: other.database.ownerUrl });
  const ended = new Promise<void>((resolve) => {
    client.on("error", () => resolve());
    client.on("end", () => resolve());
  });
  await client.connect();
  await client.query("begin; select pg_current_xact_id()");
  return { client, ended };
}

const horizonAge = async () =>
  Number(/^outbox_horizon_age_seconds (.+)$/m.exec(await parts.metrics.registry.metrics())?.[1]);

test("a transaction left open in another database keeps events waiting until the server cuts it off, not longer", async () => {
  await other.asOwner(
    `alter database ${other.database.name} set idle_in_transaction_session_timeout = '1500ms'`,
  );
  const { ended } = await startSleeper();
  let cutOff = false;
  void ended.then(() => {
    cutOff = true;
  });
  await tell();
  let early = 0;
  await eventually(async () => {
    const { length } = await parts.published();
    if (!cutOff) early = length;
    expect(length).toBe(1);
  });
  expect(cutOff).toBe(true);
  expect(early).toBe(0);
});

test("for how long one transaction has kept events waiting is measured, and forgotten with it", async () => {
  const { client, ended } = await startSleeper();
  await tell();
  await eventually(async () => expect(await horizonAge()).toBeGreaterThan(1));
  await client.end();
  await ended;
  await eventually(async () => expect(await horizonAge()).toBeLessThan(0.5));
});
