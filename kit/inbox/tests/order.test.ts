import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StockLowSchema, StockReplenishedSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { readDeadLetterPage } from "#kit/inbox/dead-letters.ts";
import { type Consumer, type EventContext, on } from "#kit/inbox/inbox.ts";
import { readParkedPage } from "#kit/inbox/park.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { connectForeignEvents, type ForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let foreign: ForeignEvents;
let stops: (() => Promise<void>)[];
/** `sku version`, in the order of COMMIT. */
let applied: string[];

beforeEach(async () => {
  parts = await openParts();
  foreign = await connectForeignEvents(parts.prefix);
  stops = [() => foreign.close()];
  applied = [];
});
afterEach(async () => {
  for (const stop of stops.toReversed()) await stop();
  await parts.close();
});

function consume(consumers: readonly Consumer[], of = parts, maxDeliveries = 3) {
  const stopping = new AbortController();
  const limits = { baseRetryMs: 20, maxRetryMs: 50, maxDeliveries };
  const ended = runConsumers({ ...of, service: "counters", consumers, limits }, stopping.signal);
  stops.push(async () => {
    stopping.abort();
    await ended;
  });
}

/** Notes what takes effect; `trouble` may throw before. */
const noting = (trouble: (sku: string, context: EventContext) => void = () => {}) =>
  on(StockLowSchema, {
    async apply(tx, { sku }, context) {
      trouble(sku, context);
      await addTo(tx, sku, 1);
      tx.afterCommit(() => applied.push(`${sku} ${context.aggregateVersion}`));
    },
  });

const low = (sku: string, aggregateVersion: number, previousVersion?: number) =>
  foreign.publish(StockLowSchema, [{ message: { sku, available: 1 }, aggregateVersion, previousVersion }]);
const isApplied = (...expected: string[]) =>
  eventually(() => expect(applied.toSorted()).toEqual(expected.toSorted()));
const parked = async () =>
  (await readParkedPage(parts.db, { after: undefined, limit: 100 })).map(
    ({ aggregateId, aggregateVersion }) => `${aggregateId} ${aggregateVersion}`,
  );
const isParked = (...expected: string[]) =>
  eventually(async () => expect((await parked()).toSorted()).toEqual(expected.toSorted()));
const isSetAside = (count: number) =>
  eventually(async () => {
    const found = await readDeadLetterPage(parts.db, { status: "waiting", beforeId: undefined, limit: 9 });
    expect(found).toHaveLength(count);
    return found;
  });
/** No StockLow: its first field's text is longer than all there is. */
const unreadable = Uint8Array.of(0x0a, 0x7f);
const durable = () => parts.nats.manager.consumers.info(parts.stream, `counters_${parts.stream}`);
const nothingLeft = () =>
  eventually(async () => expect(await durable()).toMatchObject({ num_pending: 0, num_ack_pending: 0 }));

describe("events of one aggregate", () => {
  test("that come too early wait in a table, which costs no deliveries, and are applied in order", async () => {
    consume([noting()]);
    await low("TEA", 3, 2);
    await low("TEA", 2, 1);
    await low("RUG", 1, 0);
    await isApplied("RUG 1");
    await isParked("TEA 2", "TEA 3");
    await nothingLeft();
    expect((await durable()).num_redelivered).toBe(0);
    await low("TEA", 1, 0);
    await isApplied("RUG 1", "TEA 1", "TEA 2", "TEA 3");
    expect(applied.filter((one) => one.startsWith("TEA"))).toEqual(["TEA 1", "TEA 2", "TEA 3"]);
    await isParked();
  });

  test("that arrive in one batch in the wrong order are put right in it", async () => {
    await Promise.all([low("TEA", 2, 1), low("TEA", 1, 0), low("TEA", 5, 2)]);
    consume([noting()]);
    await isApplied("TEA 1", "TEA 2", "TEA 5");
    expect(applied).toEqual(["TEA 1", "TEA 2", "TEA 5"]);
  });

  test("wait for one that fails, and go on when it succeeds", async () => {
    let failures = 0;
    const stumble = noting((_sku, { aggregateVersion }) => {
      if (aggregateVersion === 1n && ++failures <= 2) throw new Error("not yet");
    });
    consume([stumble]);
    await low("TEA", 1, 0);
    await low("TEA", 2, 1);
    await isApplied("TEA 1", "TEA 2");
    expect(applied).toEqual(["TEA 1", "TEA 2"]);
    expect(failures).toBe(3);
  });

  test("wait for one that was set aside, and other aggregates do not", async () => {
    const refuse = noting((sku, { aggregateVersion }) => {
      if (sku === "TEA" && aggregateVersion === 1n) throw new Error("never");
    });
    consume([refuse]);
    await low("TEA", 1, 0);
    await low("TEA", 2, 1);
    await low("RUG", 1, 0);
    await isSetAside(1);
    await parts.database.shiftClock(3_600_000);
    await low("RUG", 2, 1);
    await isApplied("RUG 1", "RUG 2");
    await isParked("TEA 2");
  });

  test("that fail before their turn, for the database's sake, pass over nothing that is still to come", async () => {
    consume([noting()], parts, 1_000);
    await low("RUG", 1, 0);
    await isApplied("RUG 1");
    await parts.asOwner("alter table kit.inbox add constraint refuses check (false) not valid");
    await low("TEA", 2, 1);
    await low("TEA", 3, 2);
    await eventually(async () => expect((await durable()).num_redelivered).toBe(2));
    await parts.asOwner("alter table kit.inbox drop constraint refuses");
    await isParked("TEA 2", "TEA 3");
    await low("TEA", 1, 0);
    await isApplied("RUG 1", "TEA 1", "TEA 2", "TEA 3");
  });

  test("that were set aside before their turn pass over nothing that is still to come", async () => {
    consume([noting()]);
    await foreign.publish(StockLowSchema, [
      { message: { sku: "TEA" }, aggregateVersion: 2, previousVersion: 1, payload: unreadable },
    ]);
    await low("TEA", 3, 2);
    await isSetAside(1);
    await isParked("TEA 3");
    await low("TEA", 1, 0);
    await isApplied("TEA 1");
    await parts.database.shiftClock(3_600_000);
    await low("RUG", 1, 0);
    await isApplied("RUG 1", "TEA 1");
    expect(await parked()).toEqual(["TEA 3"]);
  });

  test("that were parked and then fail are set aside as others are", async () => {
    const refuse = noting((_sku, { aggregateVersion }) => {
      if (aggregateVersion === 2n) throw new Error("never");
    });
    consume([refuse]);
    await low("TEA", 2, 1);
    await isParked("TEA 2");
    await low("TEA", 1, 0);
    const letters = await isSetAside(1);
    expect(letters).toMatchObject([{ aggregateId: "TEA", aggregateVersion: 2n, deliveries: 3 }]);
    await isParked();
  });

  test("that come when their aggregate has gone on are ignored", async () => {
    consume([noting()]);
    await low("TEA", 1, 0);
    await low("TEA", 3, 1);
    await isApplied("TEA 1", "TEA 3");
    await low("TEA", 2, 1);
    await low("TEA", 4, 3);
    await isApplied("TEA 1", "TEA 3", "TEA 4");
    await nothingLeft();
    expect(await parked()).toEqual([]);
  });

  test("that claim no place are applied as they come", async () => {
    consume([noting()]);
    await low("TEA", 7);
    await low("TEA", 3);
    await isApplied("TEA 7", "TEA 3");
  });
});

describe("a consumer that hears only part of an aggregate's life", () => {
  const replenished = (sku: string, aggregateVersion: number, previousVersion: number) =>
    foreign.publish(StockReplenishedSchema, [
      { message: { sku, available: 9 }, aggregateVersion, previousVersion },
    ]);

  test("because it reacts to some types only misses nothing: the others count as seen", async () => {
    consume([noting()]);
    await low("TEA", 1, 0);
    await replenished("TEA", 2, 1);
    await low("TEA", 3, 2);
    await isApplied("TEA 1", "TEA 3");
    expect(await parked()).toEqual([]);
  });

  test("because it began in its midst waits a while for what came before, then begins there", async () => {
    consume([noting()]);
    await low("TEA", 42, 41);
    await low("TEA", 43, 42);
    await isParked("TEA 42", "TEA 43");
    await parts.database.shiftClock(299_000);
    await low("RUG", 1, 0);
    await isApplied("RUG 1");
    expect(await parked()).toHaveLength(2);
    await parts.database.shiftClock(2_000);
    await isApplied("RUG 1", "TEA 42", "TEA 43");
    expect(applied.filter((one) => one.startsWith("TEA"))).toEqual(["TEA 42", "TEA 43"]);
    await low("TEA", 44, 43);
    await isApplied("RUG 1", "TEA 42", "TEA 43", "TEA 44");
  });

  test("because it began in its midst begins with the first it hears of, and after what waits for a person", async () => {
    consume([noting()]);
    await foreign.publish(StockLowSchema, [
      { message: { sku: "TEA" }, aggregateVersion: 41, previousVersion: 40, payload: unreadable },
    ]);
    await low("TEA", 42, 41);
    await low("RUG", 8, 7);
    await isSetAside(1);
    await isParked("RUG 8", "TEA 42");
    await parts.database.shiftClock(200_000);
    await low("RUG", 7, 6);
    await isParked("RUG 7", "RUG 8", "TEA 42");
    await parts.database.shiftClock(200_000);
    await low("BED", 1, 0);
    await isApplied("BED 1");
    expect(await parked()).toHaveLength(3);
    await parts.database.shiftClock(200_000);
    await isApplied("BED 1", "RUG 7", "RUG 8");
    await isParked("TEA 42");
    await parts.asOwner("update kit.dead_letters set status = 'discarded'");
    await isApplied("BED 1", "RUG 7", "RUG 8", "TEA 42");
  });

  test("keeps no order, no row and no other event where its reactions need none", async () => {
    consume([on(StockLowSchema, { anyOrder: true, apply: noting().apply })]);
    await low("TEA", 9, 8);
    await replenished("TEA", 10, 9);
    await isApplied("TEA 9");
    await nothingLeft();
    expect(await durable()).toMatchObject({ delivered: { consumer_seq: 1 } });
    expect(await parts.asOwner("select 1 from kit.positions")).toEqual([]);
  });
});

test("two replicas keep the order together", async () => {
  const other = await parts.replica();
  stops.push(() => other.close());
  consume([noting()]);
  consume([noting()], other);
  await eventually(async () => expect((await durable()).num_waiting).toBeGreaterThan(1));
  const versions = Array.from({ length: 60 }, (_, n) => n + 1);
  await Promise.all(versions.map((version) => low("TEA", version, version - 1)));
  const expected = versions.map((version) => `TEA ${version}`);
  await eventually(() => expect(applied).toHaveLength(60), 20_000);
  expect(applied).toEqual(expected);
  await isParked();
});

test("how many events wait for others is measured", async () => {
  await low("TEA", 2, 1);
  consume([noting()]);
  await isParked("TEA 2");
  const other = await parts.replica();
  stops.push(() => other.close());
  consume([noting()], other);
  const line = `parked_events{consumer="counters_${parts.stream}"} 1`;
  await eventually(async () => expect(await other.metrics.registry.metrics()).toContain(line));
});
