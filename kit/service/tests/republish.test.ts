import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OutboxService } from "#gen/souk/ops/v1/ops_pb.ts";
import { inboxRetentionDays } from "#kit/inbox/inbox.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { eventually, startForTest, type TestService } from "#kit/testing/testing.ts";

let service: TestService;

beforeAll(async () => {
  service = await startForTest(createCounters());
});
afterAll(() => service.stop());

const daysAgo = (days: number) => timestampFromDate(new Date(Date.now() - days * 24 * 60 * 60 * 1_000));
const outbox = (scope = "ops:outbox") => service.client(OutboxService, { sub: "user_operator", scope });
const republish = (since: ReturnType<typeof daysAgo>, key = crypto.randomUUID(), scope?: string) =>
  outbox(scope).republishEvents({ service: "counters", since }, { idempotencyKey: key });

const selectOpen = statement("test-republications", "select from kit.republication");
const selectActed = statement(
  "test-acted",
  `select headers ->> 'ce-type' as type, convert_from(payload, 'utf8') as payload from kit.outbox
    where headers ->> 'ce-type' like '%OperatorActed'`,
);

test("an operator has the events of the last hour published again, which is announced once for one key", async () => {
  const inventory = service.client(InventoryService, { sub: "user_operator", scope: "inventory:write" });
  const adjusted = { sku: "TEA", quantity: 5, reason: MovementReason.RECEIVED };
  await inventory.adjustStock(adjusted, { idempotencyKey: crypto.randomUUID() });
  const key = crypto.randomUUID();
  const since = daysAgo(1 / 24);
  const { events } = await republish(since, key);
  expect(events).toBe(1n);
  expect((await republish(since, key)).events).toBe(1n);
  await eventually(async () => expect(await service.db.query(selectOpen)).toEqual([]));
  const acted = await service.db.query<{ payload: string }>(selectActed);
  expect(acted).toHaveLength(1);
  expect(acted[0]?.payload).toContain("RepublishEvents");
});

test("what consumers no longer remember is not published again", async () => {
  await expect(republish(daysAgo(inboxRetentionDays + 0.1))).rejects.toMatchObject({
    reason: "REPUBLISH_TOO_OLD",
  });
  await republish(daysAgo(inboxRetentionDays - 0.1));
});

test("it takes the scope ops:outbox", async () => {
  await expect(republish(daysAgo(0), undefined, "ops:dead-letters")).rejects.toMatchObject({
    reason: "SCOPE_MISSING",
  });
});
