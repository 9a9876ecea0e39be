import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { OperatorActedSchema } from "#gen/souk/ops/v1/events_pb.ts";
import { DeadLetterService, DeadLetterStatus, ReplayOutcome } from "#gen/souk/ops/v1/ops_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { connectNats, type Nats } from "#kit/nats/nats.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { connectForeignEvents, type ForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually, startForTest, type TestService, testEnvironment } from "#kit/testing/testing.ts";

let service: TestService;
let letters: Client<typeof DeadLetterService>;
let foreign: ForeignEvents;
let nats: Nats;

beforeAll(async () => {
  service = await startForTest(createCounters());
  letters = service.client(DeadLetterService, { sub: "user_operator", scope: "ops:dead-letters" });
  foreign = await connectForeignEvents(service.prefix);
  const log = createLogger({ service: "test", level: "error" });
  nats = await connectNats({ url: testEnvironment().natsUrl, name: "test", log });
});
afterAll(async () => {
  await foreign.close();
  await nats.close();
  await service.stop();
});

const insertLetter = statement(
  "test-insert-letter",
  `insert into kit.dead_letters (dead_letter_id, consumer, event_id, digest, stream, subject, event_type, aggregate_id,
     aggregate_version, status, reason, message, deliveries, headers, payload, history, created_at)
   values ($1, 'counters_x', $1, '', 'x', 'x.y', $2, 'TEA', 7, $3, 'INTERNAL', 'It broke.', 5, '{"ce-id": "1"}', $4,
     '[{"at": "2026-01-02T03:04:05.000Z", "actor": "counters", "action": "set aside", "detail": "It broke."}]', now())`,
);

async function setAside(status: string, eventType: string = StockLowSchema.typeName): Promise<string> {
  const deadLetterId = newId("letter");
  const payload = toBinary(StockLowSchema, create(StockLowSchema, { sku: "TEA", available: 2 }));
  await service.db.query(insertLetter, [deadLetterId, eventType, status, payload]);
  return deadLetterId;
}

const get = async (deadLetterId: string) =>
  (await letters.getDeadLetter({ service: "counters", deadLetterId })).deadLetter;

describe("dead letters", () => {
  test("are listed newest first, page by page, waiting ones where nothing else is asked for", async () => {
    const waiting = [await setAside("waiting"), await setAside("waiting"), await setAside("waiting")];
    const discarded = await setAside("discarded");
    const list = (pageToken: string) =>
      letters.listDeadLetters({ service: "counters", pageSize: 2, pageToken });
    const first = await list("");
    const second = await list(first.nextPageToken);
    const ids = [...first.deadLetters, ...second.deadLetters].map(({ deadLetterId }) => deadLetterId);
    expect(ids).toEqual(waiting.toReversed());
    expect(second.nextPageToken).toBe("");
    const settled = await letters.listDeadLetters({
      service: "counters",
      status: DeadLetterStatus.DISCARDED,
    });
    expect(settled.deadLetters.map(({ deadLetterId }) => deadLetterId)).toEqual([discarded]);
  });

  test("are shown with their event, their attributes and what was done with them", async () => {
    const letter = await get(await setAside("replayed"));
    expect(letter).toMatchObject({
      consumer: "counters_x",
      eventType: "souk.inventory.v1.StockLow",
      aggregateId: "TEA",
      aggregateVersion: 7n,
      status: DeadLetterStatus.REPLAYED,
      reason: "INTERNAL",
      message: "It broke.",
      deliveries: 5,
      headers: { "ce-id": "1" },
      history: [{ actor: "counters", action: "set aside", detail: "It broke." }],
    });
    expect(JSON.parse(letter?.eventJson ?? "")).toEqual({ sku: "TEA", available: 2 });
  });

  test("are shown without their event where nobody here knows its type", async () => {
    expect((await get(await setAside("waiting", "souk.weather.v1.RainFell")))?.eventJson).toBe("");
  });

  test("that are not there are not found", async () => {
    await expect(get(newId("letter"))).rejects.toMatchObject({ reason: "DEAD_LETTER_NOT_FOUND", code: 5 });
  });
});

test("an operator's call that came to the wrong service is refused", async () => {
  await expect(letters.listDeadLetters({ service: "orders" })).rejects.toMatchObject({
    reason: "SERVICE_UNKNOWN",
    code: 5,
  });
});

test("a token without the operators' scope is refused", async () => {
  const customer = service.client(DeadLetterService, { scope: "orders:read" });
  await expect(customer.listDeadLetters({ service: "counters" })).rejects.toMatchObject({
    reason: "SCOPE_MISSING",
  });
});

/** Publishes an event that the fixture refuses, and waits until it was set aside. */
async function poison(sku: string, aggregateVersion = 1, previousVersion?: number): Promise<string> {
  await foreign.publish(StockLowSchema, [
    { message: { sku, available: 1 }, aggregateVersion, previousVersion },
  ]);
  return await eventually(async () => {
    const { deadLetters } = await letters.listDeadLetters({ service: "counters", pageSize: 100 });
    const found = deadLetters.find(({ aggregateId }) => aggregateId === sku);
    if (!found) throw new Error("it was not set aside yet");
    return found.deadLetterId;
  });
}

const withKey = () => ({ idempotencyKey: newId("key") });
const replay = (deadLetterId: string, options = withKey()) =>
  letters.replayDeadLetter({ service: "counters", deadLetterId }, options);
const cure = (by: number) => service.db.transaction((tx) => addTo(tx, "cured", by));
const heard = (sku: string) => readCounter(service.db, `heard ${sku}`);
const nextOf = (sku: string) =>
  foreign.publish(StockLowSchema, [
    { message: { sku, available: 1 }, aggregateVersion: 2, previousVersion: 1 },
  ]);

/** What operators did to a target, as the stream tells it. */
async function announced(target: string) {
  const stream = `${service.prefix}_ops_v1`;
  const { state } = await nats.manager.streams.info(stream);
  const actions: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq += 1) {
    const stored = await nats.manager.streams.getMessage(stream, { seq });
    const acted = stored && fromBinary(OperatorActedSchema, stored.data);
    if (acted?.target === target)
      actions.push([acted.service, acted.operator, acted.action, acted.why].join("|"));
  }
  return actions;
}

describe("replaying a dead letter", () => {
  test("that fails again tells why, and it waits on", async () => {
    const deadLetterId = await poison("POISON-AGAIN");
    await expect(replay(deadLetterId)).rejects.toMatchObject({ reason: "STOCK_WOULD_BE_NEGATIVE" });
    const letter = await get(deadLetterId);
    expect(letter?.status).toBe(DeadLetterStatus.WAITING);
    expect(letter?.history).toMatchObject([
      { actor: "counters", action: "set aside" },
      { actor: "user_operator", action: "replay failed", detail: "There is not so much." },
    ]);
    await eventually(async () =>
      expect(await announced(deadLetterId)).toEqual(["counters|user_operator|ReplayDeadLetter|"]),
    );
  });

  test("whose fault is mended applies it once, settles it, and sets free what waited for it", async () => {
    const sku = "POISON-MENDED";
    const deadLetterId = await poison(sku, 1, 0);
    await nextOf(sku);
    await eventually(async () => {
      const { parkedEvents } = await letters.listParkedEvents({ service: "counters" });
      expect(parkedEvents).toMatchObject([{ aggregateId: sku, aggregateVersion: 2n, missingVersion: 1n }]);
    });
    await cure(1);
    const key = withKey();
    const first = await replay(deadLetterId, key);
    expect(first).toMatchObject({
      outcome: ReplayOutcome.APPLIED,
      deadLetter: { status: DeadLetterStatus.REPLAYED },
    });
    expect(await replay(deadLetterId, key)).toEqual(first);
    await eventually(async () => expect(await heard(sku)).toBe(2n));
    await expect(replay(deadLetterId)).rejects.toMatchObject({
      reason: "DEAD_LETTER_SETTLED",
      metadata: { status: "replayed" },
    });
    expect(await heard(sku)).toBe(2n);
    await cure(-1);
  });

  test("whose effect was applied before does nothing, and says so", async () => {
    const sku = "POISON-APPLIED";
    const deadLetterId = await poison(sku);
    const letter = await get(deadLetterId);
    await service.db.query(
      statement("test-apply", "insert into kit.inbox (consumer, event_id) values ($1, $2)"),
      [letter?.consumer, letter?.eventId],
    );
    const { outcome, deadLetter } = await replay(deadLetterId);
    expect(outcome).toBe(ReplayOutcome.ALREADY_APPLIED);
    expect(deadLetter?.history.at(-1)).toMatchObject({
      action: "replayed",
      detail: "It had taken effect before; nothing was done.",
    });
    expect(await heard(sku)).toBe(0n);
  });

  test("whose aggregate has gone on does nothing, and says so", async () => {
    const sku = "POISON-LATE";
    const deadLetterId = await poison(sku, 1, 0);
    await service.db.query(
      statement("test-move", "update kit.positions set version = 9 where aggregate_id = $1"),
      [sku],
    );
    await cure(1);
    expect((await replay(deadLetterId)).outcome).toBe(ReplayOutcome.TOO_LATE);
    expect(await heard(sku)).toBe(0n);
    await cure(-1);
  });

  test("that nobody can read is refused", async () => {
    const deadLetterId = await setAside("waiting", "souk.weather.v1.RainFell");
    await expect(replay(deadLetterId)).rejects.toMatchObject({ reason: "EVENT_UNREADABLE" });
    await expect(replay(newId("letter"))).rejects.toMatchObject({ reason: "DEAD_LETTER_NOT_FOUND" });
  });
});

test("dead letters of one type are replayed together, and each that fails waits on", async () => {
  const ids = [await poison("POISON-1"), await poison("POISON-2")];
  const replayAll = (eventType: string) =>
    letters.replayDeadLetters({ service: "counters", eventType }, withKey());
  expect(await replayAll("souk.weather.v1.HailFell")).toMatchObject({ replayed: 0, failed: 0, remaining: 0 });
  const failing = await replayAll(StockLowSchema.typeName);
  expect(failing.replayed).toBe(0);
  expect(failing.failed).toBeGreaterThanOrEqual(2);
  await cure(1);
  const mended = await replayAll(StockLowSchema.typeName);
  expect(mended.replayed).toBeGreaterThanOrEqual(2);
  expect(await heard("POISON-1")).toBe(1n);
  for (const id of ids) {
    expect((await get(id))?.status).toBe(DeadLetterStatus.REPLAYED);
    await eventually(async () =>
      expect(await announced(id)).toEqual(Array(2).fill("counters|user_operator|ReplayDeadLetters|")),
    );
  }
  await cure(-1);
});

test("a dead letter is discarded with a reason, once, and its aggregate goes on", async () => {
  const sku = "POISON-DISCARDED";
  const deadLetterId = await poison(sku, 1, 0);
  await cure(1);
  await nextOf(sku);
  const discard = () =>
    letters.discardDeadLetter({ service: "counters", deadLetterId, why: "sent by mistake" }, withKey());
  const { deadLetter } = await discard();
  expect(deadLetter?.status).toBe(DeadLetterStatus.DISCARDED);
  expect(deadLetter?.history.at(-1)).toMatchObject({
    actor: "user_operator",
    action: "discarded",
    detail: "sent by mistake",
  });
  await eventually(async () => expect(await heard(sku)).toBe(1n));
  await expect(discard()).rejects.toMatchObject({ reason: "DEAD_LETTER_SETTLED" });
  await expect(replay(deadLetterId)).rejects.toMatchObject({ metadata: { status: "discarded" } });
  await eventually(async () =>
    expect(await announced(deadLetterId)).toEqual([
      "counters|user_operator|DiscardDeadLetter|sent by mistake",
    ]),
  );
  await cure(-1);
});

test("an operator goes on without a version that will not come; should it come, it is ignored", async () => {
  const publish = (aggregateVersion: number, previousVersion: number) =>
    foreign.publish(StockLowSchema, [
      { message: { sku: "SKIP", available: 1 }, aggregateVersion, previousVersion },
    ]);
  await publish(1, 0);
  await publish(3, 2);
  await publish(4, 3);
  const waiting = await eventually(async () => {
    const { parkedEvents } = await letters.listParkedEvents({ service: "counters" });
    expect(parkedEvents.filter(({ aggregateId }) => aggregateId === "SKIP")).toHaveLength(2);
    return parkedEvents.find(({ missingVersion }) => missingVersion === 2n);
  });
  if (!waiting) return expect.unreachable();
  const { eventId, consumer } = waiting;
  const skip = () =>
    letters.skipMissingVersion({ service: "counters", eventId, consumer, why: "it is lost" }, withKey());
  expect((await skip()).released).toBe(2);
  await eventually(async () => expect(await heard("SKIP")).toBe(3n));
  await publish(2, 1);
  await publish(5, 4);
  await eventually(async () => expect(await heard("SKIP")).toBe(4n));
  await expect(skip()).rejects.toMatchObject({ reason: "PARKED_EVENT_NOT_FOUND" });
  await eventually(async () =>
    expect(await announced(eventId)).toEqual(["counters|user_operator|SkipMissingVersion|it is lost"]),
  );
});
