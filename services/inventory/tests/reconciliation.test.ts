import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DiscrepancyFoundSchema } from "#gen/souk/ops/v1/events_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { eventName } from "#kit/nats/event-names.ts";
import { connectNats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { openReconciling, type Reconciling } from "#kit/testing/reconciling.ts";
import { eventually, testEnvironment } from "#kit/testing/testing.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { openShop, type Shop } from "./shop.ts";

let shop: Shop;
let reconciling: Reconciling;
let sku: string;

beforeAll(async () => {
  shop = await openShop();
  reconciling = openReconciling(shop.service, "inventory");
});
afterAll(() => shop.close());

const comparison = "stock-with-movements";
const tamper = (sql: string) => runSql(shop.service.database.ownerUrl, sql);

// Ten pieces came, three were sold, two are held, and one was given back.
beforeEach(async () => {
  sku = `TEA-${newId("x").slice(-12).toUpperCase()}`;
  await shop.receive({ [sku]: 10 });
  const sold = newId("order");
  const { reservation } = await shop.reserve({ [sku]: 3 }, { orderId: sold });
  await shop.confirm([{ orderId: sold, reservationId: reservation?.reservationId ?? "" }]);
  await shop.reserve({ [sku]: 2 });
  const released = { orderId: newId("order"), key: newId("key") };
  await shop.reserve({ [sku]: 1 }, released);
  await shop.release(released.orderId, released.key);
  await eventually(async () => expect(await shop.stockOf(sku)).toMatchObject({ onHand: 7, reserved: 2 }));
});

test("stock that has only changed through the shop adds up, whoever looks and however often", async () => {
  expect(await reconciling.run(comparison)).toEqual([]);
  expect(await reconciling.run(comparison, { since: new Date() })).toEqual([]);
  await shop.receive({ [sku]: 4 });
  expect(await reconciling.run(comparison, { since: new Date() })).toEqual([]);
});

test.each([
  [
    "a stock row was changed by hand",
    "on_hand = on_hand + 1",
    "on_hand = on_hand - 1",
    "8 pieces on hand, movements add up to 7",
  ],
  [
    "the pieces set aside were changed",
    "reserved = 1",
    "reserved = 2",
    "1 pieces reserved, held reservations add up to 2",
  ],
])(
  "%s: that is found, announced once, counted, and settled when it is mended",
  async (_, damage, repair, detail) => {
    await reconciling.run(comparison);
    const since = new Date();
    await tamper(`update stock set ${damage} where sku = '${sku}'`);
    expect(await reconciling.run(comparison, { since })).toEqual([{ subjectId: sku, detail }]);
    expect(await reconciling.run(comparison)).toHaveLength(1);
    expect(await reconciling.listed()).toEqual([`${comparison} ${sku}`]);
    expect(await reconciling.announced(sku)).toBe(1);
    expect(await reconciling.gauge(comparison)).toBe(1);
    await tamper(`update stock set ${repair} where sku = '${sku}'`);
    expect(await reconciling.run(comparison, { since })).toEqual([]);
    expect(await reconciling.listed()).toEqual([]);
    expect(await reconciling.gauge(comparison)).toBe(0);
  },
);

test("an old movement that was changed is found by a look at everything, and stays found until it is mended", async () => {
  await reconciling.run(comparison);
  const since = new Date();
  await tamper(`update movements set quantity = 9 where sku = '${sku}' and reason = 'received'`);
  expect(await reconciling.run(comparison, { since })).toEqual([]);
  const finding = { subjectId: sku, detail: "7 pieces on hand, movements add up to 6" };
  expect(await reconciling.run(comparison)).toEqual([finding]);
  expect(await reconciling.run(comparison, { since })).toEqual([finding]);
  await tamper(`update movements set quantity = 10 where sku = '${sku}' and reason = 'received'`);
  expect(await reconciling.run(comparison, { since })).toEqual([]);
});

test("a reservation that vanished leaves pieces set aside for nobody", async () => {
  await tamper(`update reservations set status = 'released' where skus = '{${sku}}' and status = 'held'`);
  const detail = "2 pieces reserved, held reservations add up to 0";
  expect(await reconciling.run(comparison)).toEqual([{ subjectId: sku, detail }]);
  await tamper(`update stock set reserved = 0 where sku = '${sku}'`);
  expect(await reconciling.run(comparison)).toEqual([]);
});

test("a finding reaches the stream", async () => {
  await tamper(`update stock set on_hand = 50 where sku = '${sku}'`);
  await reconciling.run(comparison);
  const log = createLogger({ service: "test", level: "error" });
  const nats = await connectNats({ url: testEnvironment().natsUrl, name: "test", log });
  const { subject, stream } = eventName(DiscrepancyFoundSchema, shop.service.prefix);
  await eventually(async () => {
    const message = await nats.manager.streams.getMessage(stream, { last_by_subj: subject });
    expect(new TextDecoder().decode(message?.data)).toContain(sku);
  });
  await nats.close();
  await tamper(`update stock set on_hand = 7 where sku = '${sku}'`);
  expect(await reconciling.run("all")).toEqual([]);
});
