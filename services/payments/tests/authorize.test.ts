import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PaymentStatus } from "#gen/souk/payments/v1/payments_pb.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { aCheckout, authorized, eventsOf, type Harness, processorDid, startPayments } from "./harness.ts";
import { apiKey } from "./sandbox.ts";

let payments: Harness;

beforeAll(async () => {
  payments = await startPayments();
});

afterAll(() => payments?.stop());

const byKey = statement(
  "test-payment-by-key",
  "select payment_id, status, payment_method from payments where authorize_key = $1",
);

async function recorded(authorizeKey: string) {
  const [row] = await payments.service.db.query<{
    payment_id: string;
    status: string;
    payment_method: string | null;
  }>(byKey, [authorizeKey]);
  return row;
}

test("a good card's amount is set aside, once, and announced", async () => {
  const checkout = aCheckout();
  const { payment } = await payments.orders.authorizePayment(checkout.request, {
    idempotencyKey: checkout.keys.authorize,
  });
  expect(payment).toMatchObject({
    orderId: checkout.request.orderId,
    customerId: checkout.request.customerId,
    status: PaymentStatus.AUTHORIZED,
    amount: checkout.request.amount,
    refunded: { currencyCode: "EUR", amountMinor: 0n },
    declineReason: "",
  });
  expect(await processorDid(payments, checkout)).toEqual([
    `authorized ${checkout.request.amount.amountMinor}`,
  ]);
  expect(await eventsOf(payments, payment?.paymentId ?? "")).toEqual(["PaymentAuthorized"]);
});

test("the card's reference is forgotten as soon as the outcome is known", async () => {
  const checkout = aCheckout();
  await authorized(payments, checkout);
  expect((await recorded(checkout.keys.authorize))?.payment_method).toBeNull();
});

describe("a refused card", () => {
  test.each([
    ["declined", "pm_card_chargeDeclined", "CARD_DECLINED"],
    ["without funds", "pm_card_chargeDeclinedInsufficientFunds", "INSUFFICIENT_FUNDS"],
    ["unknown", "pm_card_unheard_of", "PAYMENT_METHOD_INVALID"],
  ])(
    "that is %s moves no money, and its refusal is recorded, announced and remembered",
    async (_what, paymentMethod, reason) => {
      const checkout = aCheckout({ paymentMethod });
      const attempt = () =>
        payments.orders.authorizePayment(checkout.request, { idempotencyKey: checkout.keys.authorize });
      await expect(attempt()).rejects.toMatchObject({ reason, domain: "payments.souk" });
      await expect(attempt()).rejects.toMatchObject({ reason });
      const row = await recorded(checkout.keys.authorize);
      expect(row?.status).toBe("DECLINED");
      expect(await eventsOf(payments, row?.payment_id ?? "")).toEqual(["PaymentFailed"]);
      expect((await processorDid(payments, checkout)).filter((line) => !line.startsWith("declined"))).toEqual(
        [],
      );
      const { payment } = await payments.staff.getPayment({ paymentId: row?.payment_id ?? "" });
      expect(payment?.declineReason).toBe(reason);
    },
  );

  test("an amount the processor does not take is refused for good", async () => {
    const checkout = aCheckout({ amountMinor: 999_999_999_999n });
    await expect(
      payments.orders.authorizePayment(checkout.request, { idempotencyKey: checkout.keys.authorize }),
    ).rejects.toMatchObject({ reason: "PROCESSOR_REFUSED" });
  });
});

describe("a repeated authorization", () => {
  test("gets the first answer", async () => {
    const checkout = aCheckout();
    const [first, second] = [await authorized(payments, checkout), await authorized(payments, checkout)];
    expect(second).toBe(first);
    expect(await eventsOf(payments, first)).toEqual(["PaymentAuthorized"]);
  });

  test("20 at once are one charge with one answer", async () => {
    const checkout = aCheckout();
    const attempts = Array.from({ length: 20 }, () => authorized(payments, checkout));
    const outcomes = await Promise.allSettled(attempts);
    const answered = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
    const refused = outcomes
      .filter((outcome) => outcome.status === "rejected")
      .map(({ reason }) => reason.reason);
    expect(new Set(answered).size).toBe(1);
    // The processor tells some of them that the first is still under way: they may repeat.
    expect(new Set(refused).difference(new Set(["IDEMPOTENCY_KEY_IN_USE"]))).toEqual(new Set());
    expect(await processorDid(payments, checkout)).toHaveLength(1);
    expect(await authorized(payments, checkout)).toBe(answered[0]);
    expect(await eventsOf(payments, answered[0] ?? "")).toEqual(["PaymentAuthorized"]);
  });

  test("with another request under its key is refused", async () => {
    const checkout = aCheckout();
    await authorized(payments, checkout);
    const other = { ...checkout.request, amount: { currencyCode: "EUR", amountMinor: 1n } };
    await expect(
      payments.orders.authorizePayment(other, { idempotencyKey: checkout.keys.authorize }),
    ).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("after a charge whose answer never came finds that one charge", async () => {
    const checkout = aCheckout({ paymentMethod: "pm_card_chargeThenTimeout" });
    await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect((await recorded(checkout.keys.authorize))?.status).toBe("PENDING");
    expect(await authorized(payments, checkout)).toMatch(/^payment_/);
    expect(await processorDid(payments, checkout)).toEqual([
      `authorized ${checkout.request.amount.amountMinor}`,
    ]);
    expect((await recorded(checkout.keys.authorize))?.status).toBe("AUTHORIZED");
  });
});

describe("25 hours later, when answers are forgotten", () => {
  test("a repeat still meets its payment", async () => {
    const [good, bad] = [aCheckout(), aCheckout({ paymentMethod: "pm_card_chargeDeclined" })];
    const first = await authorized(payments, good);
    await expect(authorized(payments, bad)).rejects.toMatchObject({ reason: "CARD_DECLINED" });
    await payments.service.passADay();
    expect(await authorized(payments, good)).toBe(first);
    await expect(authorized(payments, bad)).rejects.toMatchObject({ reason: "CARD_DECLINED" });
    expect(await processorDid(payments, good)).toHaveLength(1);
    expect(await processorDid(payments, bad)).toHaveLength(1);
    const other = { ...good.request, customerId: "user_other" };
    await expect(
      payments.orders.authorizePayment(other, { idempotencyKey: good.keys.authorize }),
    ).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("a charge nobody recorded is found, although the processor has forgotten its key too", async () => {
    const checkout = await unansweredCheckout();
    // Stands for the charge that was made under the key the processor has forgotten since.
    const { port } = payments.processor;
    const stripe = new Stripe(apiKey, { host: "127.0.0.1", port, protocol: "http" });
    const { orderId, amount } = checkout.request;
    await stripe.paymentIntents.create({
      amount: Number(amount.amountMinor),
      currency: "eur",
      capture_method: "manual",
      confirm: true,
      payment_method: "pm_card_visa",
      metadata: { command: checkout.keys.authorize, order_id: orderId },
    });
    await payments.service.passADay();
    expect(await authorized(payments, checkout)).toMatch(/^payment_/);
    expect(await processorDid(payments, checkout)).toEqual([`authorized ${amount.amountMinor}`]);
  });

  test("a charge that never arrived is made", async () => {
    const checkout = await unansweredCheckout();
    await payments.service.passADay();
    expect(await authorized(payments, checkout)).toMatch(/^payment_/);
    expect(await processorDid(payments, checkout)).toHaveLength(1);
  });
});

/** A checkout whose authorization was recorded as intended and never reached the processor. */
async function unansweredCheckout() {
  const checkout = aCheckout();
  await payments.service.db.query(intend, [
    checkout.keys.authorize,
    checkout.request.orderId,
    checkout.request.customerId,
    checkout.request.amount.amountMinor,
  ]);
  return checkout;
}

const intend = statement(
  "test-intend-payment",
  `insert into payments (payment_id, authorize_key, order_id, customer_id, amount_minor, currency_code, payment_method, status,
     created_at, updated_at)
   values ('payment_' || substr(md5($1), 1, 26), $1, $2, $3, $4, 'EUR', 'pm_card_visa', 'PENDING', souk_now(), souk_now())`,
);

test("only services that may move money reach it", async () => {
  const checkout = aCheckout();
  await expect(
    payments.staff.authorizePayment(checkout.request, { idempotencyKey: checkout.keys.authorize }),
  ).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
  await expect(payments.orders.authorizePayment(checkout.request)).rejects.toMatchObject({
    reason: "IDEMPOTENCY_KEY_MISSING",
  });
});
