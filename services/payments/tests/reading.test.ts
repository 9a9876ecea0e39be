import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { aCheckout, authorized, captured, type Harness, startPayments } from "./harness.ts";

let payments: Harness;

beforeAll(async () => {
  payments = await startPayments();
});

afterAll(() => payments?.stop());

test("customers see their own payments; another's is not there for them", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  const own = await payments.customer(checkout.request.customerId).getPayment({ paymentId });
  expect(own.payment?.paymentId).toBe(paymentId);
  await expect(payments.customer("user_other").getPayment({ paymentId })).rejects.toMatchObject({
    reason: "PAYMENT_NOT_FOUND",
  });
});

test("whoever may refund sees every payment and its ledger", async () => {
  const checkout = aCheckout();
  const paymentId = await captured(payments, checkout);
  expect((await payments.staff.getPayment({ paymentId })).payment?.customerId).toBe(
    checkout.request.customerId,
  );
  expect((await payments.staff.listLedgerEntries({ paymentId })).entries).toHaveLength(4);
  await expect(
    payments.customer(checkout.request.customerId).listLedgerEntries({ paymentId }),
  ).rejects.toMatchObject({
    reason: "SCOPE_MISSING",
  });
});

test("an unknown payment is not found, nor is its ledger", async () => {
  const paymentId = newId("payment");
  await expect(payments.staff.getPayment({ paymentId })).rejects.toMatchObject({
    reason: "PAYMENT_NOT_FOUND",
  });
  await expect(payments.staff.listLedgerEntries({ paymentId })).rejects.toMatchObject({
    reason: "PAYMENT_NOT_FOUND",
  });
});

test("the mark of a void that came first is no payment", async () => {
  const { keys, request } = aCheckout();
  const voiding = { orderId: request.orderId, authorizeKey: keys.authorize };
  await payments.orders.voidPayment(voiding, { idempotencyKey: keys.void });
  const [row] = await payments.service.db.query<{ payment_id: string }>(markOf, [keys.authorize]);
  await expect(payments.staff.getPayment({ paymentId: row?.payment_id ?? "" })).rejects.toMatchObject({
    reason: "PAYMENT_NOT_FOUND",
  });
});

const markOf = statement("test-mark", "select payment_id from payments where authorize_key = $1");
