import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/inventory/v1/errors_pb.ts";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { type DeadLetter, readDeadLetterPage } from "#kit/inbox/dead-letters.ts";
import { type Consumer, on } from "#kit/inbox/inbox.ts";
import type { InboxLimits } from "#kit/inbox/limits.ts";
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

const quick = { baseRetryMs: 1, maxRetryMs: 5, maxDeliveries: 4 };

function consume(consumer: Consumer, limits: Partial<InboxLimits> = quick, of = parts) {
  const stopping = new AbortController();
  const options = { ...of, service: "counters", consumers: [consumer], limits };
  const ended = runConsumers(options, stopping.signal);
  const stop = async () => {
    stopping.abort();
    await ended;
  };
  stops.push(stop);
  return { stop };
}

const count = on(StockLowSchema, { apply: async (tx, { sku }) => void (await addTo(tx, sku, 1)) });
const publishLow = (...skus: string[]) =>
  foreign.publish(
    StockLowSchema,
    skus.map((sku) => ({ message: { sku, available: 1 }, aggregateVersion: 1 })),
  );

const letters = () => readDeadLetterPage(parts.db, { status: "waiting", beforeId: undefined, limit: 100 });
const oneLetter = () =>
  eventually(async () => {
    const [letter, ...others] = await letters();
    expect(others).toEqual([]);
    if (!letter) throw new Error("there is no dead letter yet");
    return letter;
  });

const durable = () => parts.nats.manager.consumers.info(parts.stream, `counters_${parts.stream}`);
const nothingLeft = () =>
  eventually(async () => expect(await durable()).toMatchObject({ num_pending: 0, num_ack_pending: 0 }));
const stands = (sku: string, at: bigint) =>
  eventually(async () => expect(await readCounter(parts.db, sku)).toBe(at));

describe("an event whose handler fails", () => {
  test("each time is set aside after so many deliveries, with all that is known of it", async () => {
    let tries = 0;
    const never = on(StockLowSchema, {
      async apply(tx, { sku }) {
        if (sku === "FINE") return void (await addTo(tx, sku, 1));
        tries += 1;
        throw new TypeError("the password is hunter2");
      },
    });
    consume(never);
    await publishLow("BAD", "FINE");
    const letter = await oneLetter();
    expect(letter).toMatchObject<Partial<DeadLetter>>({
      consumer: `counters_${parts.stream}`,
      eventType: "souk.inventory.v1.StockLow",
      aggregateId: "BAD",
      aggregateVersion: 1n,
      status: "waiting",
      reason: "INTERNAL",
      deliveries: 4,
      history: [expect.objectContaining({ actor: "counters", action: "set aside" })],
    });
    expect(letter.headers["ce-id"]).toBe(letter.eventId);
    expect(letter.message).toMatch(/TypeError/);
    expect(JSON.stringify(letter.history) + letter.message).not.toMatch(/hunter2/);
    await nothingLeft();
    await stands("FINE", 1n);
    // Once in its batch and once by itself at the first delivery; both were in one batch.
    expect(tries).toBeLessThanOrEqual(5);
  });

  test("for a reason that no repeating can mend is set aside at once", async () => {
    const refuse = on(StockLowSchema, {
      apply: () =>
        Promise.reject(
          serviceError(ErrorReasonSchema, ErrorReason.STOCK_NOT_FOUND, "There is no such stock."),
        ),
    });
    consume(refuse);
    await publishLow("REFUSED");
    const letter = await oneLetter();
    expect(letter).toMatchObject({
      reason: "STOCK_NOT_FOUND",
      message: "There is no such stock.",
      deliveries: 1,
    });
    await nothingLeft();
  });

  test("because the database is away uses up no deliveries, and is applied when it is back", async () => {
    let away = 0;
    const replica = await parts.replica();
    stops.unshift(() => replica.close());
    const cutOff = async () => {
      if (++away > 3) return;
      throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    };
    const db = {
      ...replica.db,
      query: (async (...asked: Parameters<typeof replica.db.query>) => {
        if (asked[0].name === "kit-inbox-ping") await cutOff();
        return await replica.db.query(...asked);
      }) as typeof replica.db.query,
      transaction: (async (work: Parameters<typeof replica.db.transaction>[0]) => {
        if (away < 3) await cutOff();
        return await replica.db.transaction(work);
      }) as typeof replica.db.transaction,
    };
    consume(count, { ...quick, maxDeliveries: 1 }, { ...replica, db });
    await publishLow("PATIENT");
    await stands("PATIENT", 1n);
    expect(away).toBeGreaterThan(2);
    expect(await letters()).toEqual([]);
  });
});

test("a dead letter whose message was not ended is not written twice", async () => {
  const doomed = await parts.replica();
  const refuse = on(StockLowSchema, {
    apply: () => Promise.reject(serviceError(ErrorReasonSchema, ErrorReason.STOCK_NOT_FOUND, "None.")),
  });
  // The process dies between COMMIT and telling the server.
  const db: typeof doomed.db = {
    ...doomed.db,
    async transaction(work) {
      const result = await doomed.db.transaction(work);
      if ((await letters()).length > 0) await doomed.nats.connection.close();
      return result;
    },
  };
  const { stop } = consume(refuse, quick, { ...doomed, db });
  await publishLow("TWICE");
  await oneLetter();
  await stop();
  await doomed.db.close();
  expect(await durable()).toMatchObject({ num_ack_pending: 1 });
  await parts.nats.manager.consumers.delete(parts.stream, `counters_${parts.stream}`);
  consume(refuse);
  await nothingLeft();
  await eventually(async () => expect((await durable()).delivered.consumer_seq).toBe(1));
  expect(await letters()).toHaveLength(1);
});

test("an event nobody lives to answer is set aside when the server gives up on it", async () => {
  const hang = on(StockLowSchema, { prepare: () => new Promise<undefined>(() => {}), apply: async () => {} });
  const stopping = new AbortController();
  stops.push(async () => stopping.abort());
  const limits = { ackWaitMs: 200, maxDeliver: 2 };
  void runConsumers({ ...parts, service: "counters", consumers: [hang], limits }, stopping.signal);
  await publishLow("UNANSWERED");
  const letter = await oneLetter();
  expect(letter).toMatchObject({ reason: "HANDLER_DIED", aggregateId: "UNANSWERED", deliveries: 2 });
  expect(letter.headers["ce-type"]).toBe("souk.inventory.v1.StockLow");
});

test("an event that had its effect is not set aside when the server gives up on it", async () => {
  const doomed = await parts.replica();
  const once = on(StockLowSchema, {
    async apply(tx, { sku }) {
      await addTo(tx, sku, 1);
      tx.afterCommit(() => void doomed.nats.connection.close());
    },
  });
  const limits = { ackWaitMs: 200, maxDeliver: 1 };
  const { stop } = consume(once, limits, doomed);
  await publishLow("ANSWERED");
  await stands("ANSWERED", 1n);
  await stop();
  await doomed.db.close();
  consume(count, limits);
  const advisories = () =>
    parts.nats.manager.consumers.info("souk_exhausted_deliveries", `counters_${parts.stream}`);
  await eventually(async () => {
    expect((await advisories()).delivered.consumer_seq).toBeGreaterThan(0);
    expect(await advisories()).toMatchObject({ num_pending: 0, num_ack_pending: 0 });
  });
  expect(await letters()).toEqual([]);
});

test("how many dead letters wait is measured for each consumer", async () => {
  const refuse = on(StockLowSchema, {
    apply: () => Promise.reject(serviceError(ErrorReasonSchema, ErrorReason.STOCK_NOT_FOUND, "None.")),
  });
  consume(refuse);
  await publishLow("ONE", "TWO");
  await eventually(async () => expect(await letters()).toHaveLength(2));
  const metrics = await parts.replica();
  stops.push(() => metrics.close());
  consume(count, quick, metrics);
  const line = `dead_letters_waiting{consumer="counters_${parts.stream}"} 2`;
  await eventually(async () => expect(await metrics.metrics.registry.metrics()).toContain(line));
});

describe("a message that nobody of ours made", () => {
  const attributes = {
    "ce-id": newUuid(),
    "ce-type": "souk.inventory.v1.StockLow",
    "ce-subject": "FORGED",
    "ce-time": "2026-01-02T03:04:05Z",
    "souk-aggregate-version": "1",
  };
  const bytes = (text: string) => new TextEncoder().encode(text);
  const hostile: [string, Record<string, string>, Uint8Array][] = [
    ["is no such message", {}, new Uint8Array([0xff, 0xff])],
    ["is of a version nobody knows", { "ce-type": "souk.inventory.v9.StockLow" }, bytes("")],
    ["has nearly 1 MB", {}, new Uint8Array(1_000_000)],
    ["has another's type", { "ce-type": "souk.inventory.v1.StockReplenished" }, bytes("")],
    ["has a version from the future", { "souk-aggregate-version": "9223372036854775807" }, bytes("")],
    ["has a version below 1", { "souk-aggregate-version": "-4" }, bytes("")],
    ["comes before what it comes after", { "souk-previous-version": "7" }, bytes("")],
    ["has no type", { "ce-type": "" }, bytes("")],
    ["has no id", { "ce-id": "" }, bytes("")],
    ["has an id like no other", { "ce-id": "'; drop table kit.inbox; --" }, bytes("")],
    ["has a NUL in its headers", { "ce-id": "a\0b" }, bytes("")],
    ["has no aggregate", { "ce-subject": "" }, bytes("")],
    ["has no time", { "ce-time": "soon" }, bytes("")],
  ];

  async function publish(headers: Readonly<Record<string, string>>, payload: Uint8Array) {
    const { headers: natsHeaders } = await import("@nats-io/transport-node");
    const made = natsHeaders();
    for (const [name, value] of Object.entries({ ...attributes, ...headers }))
      if (value) made.set(name, value);
    await parts.nats.jetstream.publish(`${parts.prefix}.inventory.v1.StockLow`, payload, { headers: made });
  }

  test("is set aside once, whatever is wrong with it, and the consumer keeps its pace", async () => {
    consume(count);
    for (const [, headers, payload] of hostile) {
      await publish(headers, payload);
      await publishLow("GOOD", "GOOD");
    }
    await stands("GOOD", BigInt(2 * hostile.length));
    await eventually(async () => expect(await letters()).toHaveLength(hostile.length));
    await nothingLeft();
    for (const letter of await letters())
      expect(letter).toMatchObject({ reason: "EVENT_UNREADABLE", deliveries: 1 });
    expect(await readCounter(parts.db, "FORGED")).toBe(0n);
  });
});
