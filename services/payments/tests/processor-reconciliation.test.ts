import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { openReconciling, type Reconciling } from "#kit/testing/reconciling.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { aCheckout, authorized, type Checkout, captured, type Harness, startPayments } from "./harness.ts";
import { apiKey } from "./sandbox.ts";

let harness: Harness;
let reconciling: Reconciling;
let official: Stripe;

beforeAll(async () => {
  harness = await startPayments();
  reconciling = openReconciling(harness.service, "payments");
  const { port } = harness.processor;
  official = new Stripe(apiKey, { host: "127.0.0.1", port, protocol: "http", maxNetworkRetries: 0 });
});
afterAll(() => harness.stop());

const ours = "payments-with-processor";
const theirs = "processor-with-payments";
const own = (sql: string) => runSql(harness.service.database.ownerUrl, sql);
const set = (paymentId: string, change: string) =>
  own(`update payments set ${change} where payment_id = '${paymentId}'`);
const intentOf = async ({ request }: Checkout) => {
  const query = `metadata['order_id']:'${request.orderId}'`;
  const { data } = await official.paymentIntents.search({ query });
  return data[0]?.id ?? "";
};

/** A charge past the shop, in the shop's account. */
const chargePast = (changes: Stripe.PaymentIntentCreateParams = { amount: 700, currency: "eur" }) =>
  official.paymentIntents.create({ ...changes, confirm: true, payment_method: "pm_card_visa" });

test("payments that went well, were refused, given up, paid back or never arrived agree on both sides", async () => {
  for (const paymentMethod of ["pm_card_chargeDeclined", "pm_card_unheard_of"])
    await expect(authorized(harness, aCheckout({ paymentMethod }))).rejects.toThrow();
  await authorized(harness, aCheckout());
  const [voided, early] = [aCheckout(), aCheckout()];
  await authorized(harness, voided);
  for (const { request, keys } of [voided, early]) {
    const command = { orderId: request.orderId, authorizeKey: keys.authorize };
    await harness.orders.voidPayment(command, { idempotencyKey: keys.void });
  }
  for (const amount of [undefined, { currencyCode: "EUR", amountMinor: 200n }]) {
    const paymentId = await captured(harness, aCheckout());
    await harness.staff.refundPayment(
      { paymentId, ...(amount && { amount }) },
      { idempotencyKey: newId("key") },
    );
  }
  expect(await reconciling.run("all")).toEqual([]);
  // Listed by time, or, where the shop's clock says another one, asked for one by one.
  await harness.service.shiftClock(3 * 60 * 60 * 1_000);
  await captured(harness, aCheckout());
  expect(await reconciling.run("all")).toEqual([]);
  await harness.service.shiftClock(0);
});

describe("what the processor has and the shop has not", () => {
  test("is found, announced once, counted, and settled when it is paid back", async () => {
    const since = new Date();
    const { id } = await chargePast();
    const detail = "700 EUR is taken there, for no payment of ours";
    expect(await reconciling.run(theirs, { since })).toEqual([{ subjectId: id, detail }]);
    expect(await reconciling.run(theirs)).toEqual([{ subjectId: id, detail }]);
    expect(await reconciling.listed()).toEqual([`${theirs} ${id}`]);
    expect(await reconciling.announced(id)).toBe(1);
    expect(await reconciling.gauge(theirs)).toBe(1);
    await official.refunds.create({ payment_intent: id });
    expect(await reconciling.run(theirs, { since: new Date() })).toEqual([]);
    expect(await reconciling.gauge(theirs)).toBe(0);
  });

  test("is found where a card was charged twice for one command, and settled when one is given back", async () => {
    const checkout = aCheckout();
    const paymentId = await captured(harness, checkout);
    const first = await intentOf(checkout);
    const metadata = { command: checkout.keys.authorize };
    const second = await chargePast({ amount: 700, currency: "eur", capture_method: "manual", metadata });
    const detail = `700 EUR is held there for ${paymentId}, which is ${first}`;
    expect(await reconciling.run(theirs)).toEqual([{ subjectId: second.id, detail }]);
    await official.paymentIntents.cancel(second.id);
    expect(await reconciling.run(theirs)).toEqual([]);
  });

  test("is found under a key whose authorization was given up before it came", async () => {
    const { request, keys } = aCheckout();
    const command = { orderId: request.orderId, authorizeKey: keys.authorize };
    await harness.orders.voidPayment(command, { idempotencyKey: keys.void });
    const metadata = { command: keys.authorize };
    const { id } = await chargePast({ amount: 500, currency: "usd", metadata });
    const detail = "500 USD is taken there, for no payment of ours";
    expect(await reconciling.run(theirs)).toEqual([{ subjectId: id, detail }]);
    await official.refunds.create({ payment_intent: id });
    expect(await reconciling.run(theirs)).toEqual([]);
  });
});

describe("a payment that the processor knows otherwise", () => {
  let checkout: Checkout;
  let paymentId: string;
  let reference: string;
  beforeEach(async () => {
    checkout = aCheckout({ amountMinor: 900n });
    paymentId = await captured(harness, checkout);
    reference = await intentOf(checkout);
  });

  test.each([
    ["amount", "amount_minor = 901", "amount_minor = 900", "its amount is 901 EUR here, 900 EUR there"],
    [
      "currency",
      "currency_code = 'USD'",
      "currency_code = 'EUR'",
      "its amount is 900 USD here, 900 EUR there",
    ],
    ["status", "status = 'VOIDED'", "status = 'CAPTURED'", "it is VOIDED here, taken there"],
    ["refund", "refunded_minor = 1", "refunded_minor = 0", "1 was paid back here, 0 there"],
  ])("in its %s is found until it is mended", async (_what, damage, repair, detail) => {
    await set(paymentId, damage);
    expect(await reconciling.run(ours)).toEqual([{ subjectId: paymentId, detail }]);
    await set(paymentId, repair);
    expect(await reconciling.run(ours)).toEqual([]);
  });

  test("not at all is found, and so is the money that belongs to no payment then", async () => {
    await set(paymentId, "processor_reference = 'pi_lost'");
    const lost = { subjectId: paymentId, detail: "the card processor does not know pi_lost" };
    const stranger = {
      subjectId: reference,
      detail: `900 EUR is taken there for ${paymentId}, which is pi_lost`,
    };
    expect(await reconciling.run(ours)).toEqual([lost]);
    expect(await reconciling.run(theirs)).toEqual([stranger]);
    await set(paymentId, `processor_reference = '${reference}'`);
    expect(await reconciling.run("all")).toEqual([]);
  });

  test("because it was paid back past the shop is found, but not while a refund is under way", async () => {
    await official.refunds.create({ payment_intent: reference, amount: 300 });
    const detail = "0 was paid back here, 300 there";
    await set(paymentId, "refunding_minor = 300");
    expect(await reconciling.run(ours)).toEqual([]);
    await set(paymentId, "refunding_minor = 0");
    expect(await reconciling.run(ours)).toEqual([{ subjectId: paymentId, detail }]);
    await set(paymentId, "refunded_minor = 300");
    expect(await reconciling.run(ours)).toEqual([]);
  });
});

test("a payment captured past the shop is found once it is at rest, and settled when the shop hears of it", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(harness, checkout);
  await official.paymentIntents.capture(await intentOf(checkout));
  expect(await reconciling.run(ours, { graceMs: 60_000 })).toEqual([]);
  const detail = "it is AUTHORIZED here, taken there";
  expect(await reconciling.run(ours)).toEqual([{ subjectId: paymentId, detail }]);
  await harness.orders.capturePayment({ paymentId }, { idempotencyKey: checkout.keys.capture });
  expect(await reconciling.run(ours)).toEqual([]);
});

test("a charge whose answer never came is found by its key, and settled by the repeat", async () => {
  const checkout = aCheckout({ paymentMethod: "pm_card_chargeThenTimeout" });
  await expect(authorized(harness, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  const [finding, ...others] = await reconciling.run(ours);
  expect([finding?.detail, others]).toEqual(["it is PENDING here, held there", []]);
  expect(await reconciling.run(theirs)).toEqual([]);
  expect(await authorized(harness, checkout)).toBe(finding?.subjectId);
  expect(await reconciling.run(ours)).toEqual([]);
});

test("while the processor is away nothing is found, and whoever asks is told so", async () => {
  const alone = await startPayments({ processorUrl: "http://127.0.0.1:1" });
  const running = openReconciling(alone.service, "payments").run(theirs);
  await expect(running).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  expect(await openReconciling(alone.service, "payments").listed()).toEqual([]);
  await alone.stop();
});
