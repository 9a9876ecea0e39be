import { afterAll, beforeAll, expect, test } from "vitest";
import { PaymentStatus } from "#gen/souk/payments/v1/payments_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import {
  aCheckout,
  authorized,
  captured,
  eventsOf,
  type Harness,
  processorDid,
  startPayments,
} from "./harness.ts";

let payments: Harness;

beforeAll(async () => {
  payments = await startPayments();
});

afterAll(() => payments?.stop());

async function balances(paymentId: string) {
  const { entries } = await payments.staff.listLedgerEntries({ paymentId });
  const byAccount: Record<number, bigint> = {};
  for (const { account, amountMinor } of entries)
    byAccount[account] = (byAccount[account] ?? 0n) + amountMinor;
  return { entries, byAccount, total: entries.reduce((sum, { amountMinor }) => sum + amountMinor, 0n) };
}

test("a captured amount is taken once, booked in balance, and announced", async () => {
  const checkout = aCheckout();
  const { amountMinor } = checkout.request.amount;
  const paymentId = await authorized(payments, checkout);
  const { payment } = await payments.orders.capturePayment(
    { paymentId },
    { idempotencyKey: checkout.keys.capture },
  );
  expect(payment).toMatchObject({ paymentId, status: PaymentStatus.CAPTURED });
  expect(await processorDid(payments, checkout)).toEqual([
    `authorized ${amountMinor}`,
    `captured ${amountMinor}`,
  ]);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
  const { entries, byAccount, total } = await balances(paymentId);
  expect(total).toBe(0n);
  expect(byAccount).toEqual({ 1: 0n, 2: amountMinor, 3: -amountMinor });
  expect(new Set(entries.map(({ bookingId }) => bookingId)).size).toBe(1);
  expect(entries.every(({ kind, currencyCode }) => kind === "capture" && currencyCode === "EUR")).toBe(true);
});

test("capturing twice, under one key or two, now or 25 hours later, is one capture", async () => {
  const checkout = aCheckout();
  const paymentId = await captured(payments, checkout);
  const capture = (idempotencyKey: string) =>
    payments.orders.capturePayment({ paymentId }, { idempotencyKey });
  await capture(checkout.keys.capture);
  expect((await capture(`${newId("saga")}:capture`)).payment?.status).toBe(PaymentStatus.CAPTURED);
  await payments.service.passADay();
  await capture(checkout.keys.capture);
  expect(await processorDid(payments, checkout)).toHaveLength(2);
  expect((await balances(paymentId)).entries).toHaveLength(4);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
});

test("10 captures at once are one capture", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) =>
      payments.orders.capturePayment(
        { paymentId },
        { idempotencyKey: `${checkout.keys.capture}:${index % 5}` },
      ),
    ),
  );
  const { amountMinor } = checkout.request.amount;
  const kinds = (await processorDid(payments, checkout)).filter((line) => !line.startsWith("refused"));
  expect(kinds).toEqual([`authorized ${amountMinor}`, `captured ${amountMinor}`]);
  expect((await balances(paymentId)).entries).toHaveLength(4);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
});

test("a capture the bank refuses leaves the payment authorized, so that it can be voided", async () => {
  const checkout = aCheckout({ paymentMethod: "pm_card_captureDeclined" });
  const paymentId = await authorized(payments, checkout);
  const capture = () =>
    payments.orders.capturePayment({ paymentId }, { idempotencyKey: checkout.keys.capture });
  await expect(capture()).rejects.toMatchObject({ reason: "CARD_DECLINED" });
  await expect(capture()).rejects.toMatchObject({ reason: "CARD_DECLINED" });
  expect((await payments.staff.getPayment({ paymentId })).payment?.status).toBe(PaymentStatus.AUTHORIZED);
  expect((await balances(paymentId)).entries).toEqual([]);
  const { orderId } = checkout.request;
  const voided = await payments.orders.voidPayment(
    { orderId, authorizeKey: checkout.keys.authorize },
    { idempotencyKey: checkout.keys.void },
  );
  expect(voided.payment?.status).toBe(PaymentStatus.VOIDED);
});

test("a payment that is not authorized cannot be captured", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  const { orderId } = checkout.request;
  await payments.orders.voidPayment(
    { orderId, authorizeKey: checkout.keys.authorize },
    { idempotencyKey: checkout.keys.void },
  );
  await expect(
    payments.orders.capturePayment({ paymentId }, { idempotencyKey: checkout.keys.capture }),
  ).rejects.toMatchObject({ reason: "PAYMENT_NOT_AUTHORIZED", metadata: { status: "VOIDED" } });
});

test("a payment the processor released by itself is recorded as voided when its capture is refused", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  const [row] = await payments.service.db.query<{ processor_reference: string }>(reference, [paymentId]);
  const { url } = payments.processor;
  const cancelled = await fetch(`${url}/v1/payment_intents/${row?.processor_reference}/cancel`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_payments" },
  });
  expect(cancelled.status).toBe(200);
  await expect(
    payments.orders.capturePayment({ paymentId }, { idempotencyKey: checkout.keys.capture }),
  ).rejects.toMatchObject({ reason: "PAYMENT_NOT_AUTHORIZED" });
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
});

const reference = statement(
  "test-processor-reference",
  "select processor_reference from payments where payment_id = $1",
);

test("an unknown payment cannot be captured", async () => {
  await expect(
    payments.orders.capturePayment(
      { paymentId: newId("payment") },
      { idempotencyKey: `${newId("saga")}:capture` },
    ),
  ).rejects.toMatchObject({ reason: "PAYMENT_NOT_FOUND" });
});

test.each([
  ["changed", "update ledger_transfers set amount_minor = 1"],
  ["deleted", "delete from ledger_transfers"],
])("what is in the ledger cannot be %s", async (verb, text) => {
  const paymentId = await captured(payments, aCheckout());
  await expect(payments.service.db.query(statement(`test-${verb}`, text))).rejects.toThrow("append-only");
  expect((await balances(paymentId)).entries).toHaveLength(4);
});
