import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { DeadLetterService, DeadLetterStatus } from "#gen/souk/ops/v1/ops_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { startForTest, type TestService } from "#kit/testing/testing.ts";

let service: TestService;
let letters: Client<typeof DeadLetterService>;

beforeAll(async () => {
  service = await startForTest(createCounters());
  letters = service.client(DeadLetterService, { sub: "user_operator", scope: "ops:dead-letters" });
});
afterAll(() => service.stop());

const insertLetter = statement(
  "test-insert-letter",
  `insert into kit.dead_letters (dead_letter_id, consumer, event_id, payload_digest, stream, subject, event_type, aggregate_id,
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
