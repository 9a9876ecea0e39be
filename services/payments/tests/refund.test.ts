import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PaymentStatus } from "#gen/souk/payments/v1/payments_pb.ts";
import { Secret } from "#kit/config/config.ts";
import { newId } from "#kit/ids/ids.ts";
import { openOutbox } from "#kit/outbox/outbox.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { deadlineIn } from "#kit/time/time.ts";
import { finishAbandonedRefunds } from "../refund-truth.ts";
import { createStripeProcessor } from "../stripe/stripe-processor.ts";
import {
  aCheckout,
  authorized,
  captured,
  eventsOf,
  type Harness,
  processorDid,
  startPayments,
} from "./harness.ts";
import { apiKey } from "./sandbox.ts";

let payments: Harness;

beforeAll(async () => {
  payments = await startPayments();
  // The job runs here on the test's own connections.
  const { db, prefix } = payments.service;
  openOutbox(db, { source: "payments", prefix, onCommitted: () => {} });
});

afterAll(() => payments?.stop());

const eur = (amountMinor: bigint) => ({ currencyCode: "EUR", amountMinor });
const aKey = () => `client-${newId("refund")}`;

const refund = (paymentId: string, amountMinor?: bigint, idempotencyKey = aKey()) =>
  payments.staff.refundPayment(
    amountMinor === undefined ? { paymentId } : { paymentId, amount: eur(amountMinor) },
    {
      idempotencyKey,
    },
  );

async function ledgerOf(paymentId: string) {
  const { entries } = await payments.staff.listLedgerEntries({ paymentId });
  const revenue = entries
    .filter(({ account }) => account === 3)
    .reduce((sum, entry) => sum + entry.amountMinor, 0n);
  return { entries, revenue, total: entries.reduce((sum, { amountMinor }) => sum + amountMinor, 0n) };
}

test("a payment is paid back in part, then whole, and booked in balance each time", async () => {
  const checkout = aCheckout({ amountMinor: 1_000n });
  const paymentId = await captured(payments, checkout);
  const part = await refund(paymentId, 300n);
  expect(part.payment).toMatchObject({ status: PaymentStatus.CAPTURED, refunded: eur(300n) });
  expect(await ledgerOf(paymentId)).toMatchObject({ revenue: -700n, total: 0n });
  const rest = await refund(paymentId);
  expect(rest.payment).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: eur(1_000n) });
  expect(await ledgerOf(paymentId)).toMatchObject({ revenue: 0n, total: 0n });
  const did = await processorDid(payments, checkout);
  expect(did).toEqual(["authorized 1000", "captured 1000", "refunded 300", "refunded 700"]);
  expect(await eventsOf(payments, paymentId)).toEqual([
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentRefunded",
    "PaymentRefunded",
  ]);
});

test("a repeated refund pays back once, now and 25 hours later", async () => {
  const checkout = aCheckout({ amountMinor: 1_000n });
  const paymentId = await captured(payments, checkout);
  const key = aKey();
  await Promise.allSettled(Array.from({ length: 5 }, () => refund(paymentId, 400n, key)));
  expect((await refund(paymentId, 400n, key)).payment?.refunded).toMatchObject(eur(400n));
  await payments.service.passADay();
  expect((await refund(paymentId, 400n, key)).payment?.refunded).toMatchObject(eur(400n));
  expect((await processorDid(payments, checkout)).filter((line) => line.startsWith("refunded"))).toEqual([
    "refunded 400",
  ]);
  await expect(refund(paymentId, 401n, key)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  await expect(refund(await captured(payments, aCheckout()), 400n, key)).rejects.toMatchObject({
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
});

test("20 refunds at once never pay back more than was taken", async () => {
  const checkout = aCheckout({ amountMinor: 1_000n });
  const paymentId = await captured(payments, checkout);
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => refund(paymentId, 150n)));
  const refused = outcomes
    .filter((outcome) => outcome.status === "rejected")
    .map(({ reason }) => reason.reason);
  expect(refused).toEqual(Array.from({ length: 14 }, () => "REFUND_EXCEEDS_CAPTURE"));
  const paidBack = (await processorDid(payments, checkout)).filter((line) => line.startsWith("refunded"));
  expect(paidBack).toHaveLength(6);
  const { payment } = await payments.staff.getPayment({ paymentId });
  expect(payment).toMatchObject({ status: PaymentStatus.CAPTURED, refunded: eur(900n) });
  expect(await ledgerOf(paymentId)).toMatchObject({ revenue: -100n, total: 0n });
});

describe("a refund is refused", () => {
  test("above what was taken, or of nothing", async () => {
    const paymentId = await captured(payments, aCheckout({ amountMinor: 1_000n }));
    await expect(refund(paymentId, 1_001n)).rejects.toMatchObject({ reason: "REFUND_EXCEEDS_CAPTURE" });
    await expect(refund(paymentId, 0n)).rejects.toMatchObject({ reason: "REFUND_EXCEEDS_CAPTURE" });
  });

  test("in another currency", async () => {
    const paymentId = await captured(payments, aCheckout());
    const amount = { currencyCode: "USD", amountMinor: 1n };
    await expect(
      payments.staff.refundPayment({ paymentId, amount }, { idempotencyKey: aKey() }),
    ).rejects.toMatchObject({ reason: "CURRENCY_MISMATCH" });
  });

  test("of a payment that is not captured, or unknown", async () => {
    const paymentId = await authorized(payments, aCheckout());
    await expect(refund(paymentId)).rejects.toMatchObject({ reason: "PAYMENT_NOT_CAPTURED" });
    await expect(refund(newId("payment"))).rejects.toMatchObject({ reason: "PAYMENT_NOT_FOUND" });
  });

  test("by the processor, whose word is recorded, and what it held is free again", async () => {
    const checkout = aCheckout({ amountMinor: 1_000n });
    const paymentId = await captured(payments, checkout);
    const processor = createStripeProcessor({
      url: payments.processor.url,
      key: new Secret(apiKey),
      timeoutMs: 5_000,
    });
    const [row] = await payments.service.db.query<{ processor_reference: string }>(reference, [paymentId]);
    // Somebody pays back at the processor's own desk: the shop does not know.
    const outside = { key: "desk", reference: row?.processor_reference ?? "", amountMinor: 900n };
    await processor.refund(outside, deadlineIn(5_000));
    processor.close();
    const key = aKey();
    await expect(refund(paymentId, 200n, key)).rejects.toMatchObject({ reason: "REFUND_EXCEEDS_CAPTURE" });
    await expect(refund(paymentId, 200n, key)).rejects.toMatchObject({ reason: "REFUND_EXCEEDS_CAPTURE" });
    expect(await payments.service.db.query(holds, [paymentId])).toEqual([
      { refunding_minor: 0n, refunds: ["REFUSED"] },
    ]);
    expect((await refund(paymentId, 100n)).payment?.refunded).toMatchObject(eur(100n));
  });

  test("to who may only read payments", async () => {
    const paymentId = await captured(payments, aCheckout());
    await expect(
      payments.customer("user_x").refundPayment({ paymentId }, { idempotencyKey: aKey() }),
    ).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
  });
});

describe("a refund whose caller never came back", () => {
  const openRefund = statement(
    "test-open-refund",
    `with held as (update payments set refunding_minor = 250 where payment_id = $1)
     insert into refunds (refund_id, payment_id, requested_by, request_key, amount_minor, note, status, created_at, updated_at)
     values ($2, $1, 'user_gone', $2, 250, '', 'PENDING', souk_now() - $3 * interval '1 hour', souk_now() - interval '2 minutes')`,
  );

  async function finish(hoursAgo: number, arrived: boolean) {
    const checkout = aCheckout({ amountMinor: 1_000n });
    const paymentId = await captured(payments, checkout);
    const refundId = newId("refund");
    await payments.service.db.query(openRefund, [paymentId, refundId, hoursAgo]);
    const [row] = await payments.service.db.query<{ processor_reference: string }>(reference, [paymentId]);
    const processor = createStripeProcessor({
      url: payments.processor.url,
      key: new Secret(apiKey),
      timeoutMs: 5_000,
    });
    const deadline = deadlineIn(5_000);
    const command = { key: refundId, reference: row?.processor_reference ?? "", amountMinor: 250n };
    if (arrived) expect(await processor.refund(command, deadline)).toBe("paid back");
    // A processor that has forgotten the key would pay back again, so a second request must not be sent at all.
    const observed =
      arrived && hoursAgo > 23
        ? { ...processor, refund: () => Promise.reject(new Error("asked again")) }
        : processor;
    await finishAbandonedRefunds({ db: payments.service.db, processor: observed });
    processor.close();
    const { payment } = await payments.staff.getPayment({ paymentId });
    expect(payment?.refunded).toMatchObject(eur(250n));
    expect((await processorDid(payments, checkout)).filter((line) => line.startsWith("refunded"))).toEqual([
      "refunded 250",
    ]);
  }

  test("is finished, whether it had arrived or not", async () => {
    await finish(0, false);
    await finish(0, true);
  });

  test("is searched for, not sent again, when the processor may have forgotten its key", async () => {
    await finish(25, true);
    await finish(25, false);
  });
});

const reference = statement(
  "test-processor-reference",
  "select processor_reference from payments where payment_id = $1",
);

const holds = statement(
  "test-refund-holds",
  `select refunding_minor, array(select status from refunds where refunds.payment_id = payments.payment_id) as refunds
   from payments where payment_id = $1`,
);
