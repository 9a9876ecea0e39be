import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PaymentStatus } from "#gen/souk/payments/v1/payments_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { eventually } from "#kit/testing/testing.ts";
import {
  aCheckout,
  authorized,
  type Checkout,
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

const voidOf = ({ request: { orderId }, keys }: Checkout, idempotencyKey = keys.void) =>
  payments.orders.voidPayment({ orderId, authorizeKey: keys.authorize }, { idempotencyKey });

/** Minor units that the processor still holds on the card. */
async function heldAtProcessor(checkout: Checkout) {
  const lines = (await processorDid(payments, checkout)).map((line) => line.split(" "));
  const sum = (kind: string) =>
    lines.filter(([name]) => name === kind).reduce((total, [, amount]) => total + Number(amount), 0);
  return sum("authorized") - sum("canceled") - sum("captured");
}

const intended = statement("test-intended", "select from payments where authorize_key = $1");

const isIntended = async ({ keys }: Checkout) =>
  (await payments.service.db.query(intended, [keys.authorize])).length === 1;

test("a voided authorization is released at the bank and announced, once however often it is voided", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  const [first, second] = [await voidOf(checkout), await voidOf(checkout)];
  const third = await voidOf(checkout, `${newId("saga")}:undo`);
  for (const { payment } of [first, second, third]) {
    expect(payment).toMatchObject({ paymentId, status: PaymentStatus.VOIDED });
  }
  expect(await heldAtProcessor(checkout)).toBe(0);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentVoided"]);
});

describe("a void that comes before its authorization", () => {
  test("answers that nothing had been asked for, and refuses the late one without asking the bank", async () => {
    const checkout = aCheckout();
    expect((await voidOf(checkout)).payment).toBeUndefined();
    await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
    expect(await processorDid(payments, checkout)).toEqual([]);
  });

  test("refuses it 25 hours later too", async () => {
    const checkout = aCheckout();
    await voidOf(checkout);
    await payments.service.passADay();
    await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
    expect(await processorDid(payments, checkout)).toEqual([]);
    expect((await voidOf(checkout)).payment).toBeUndefined();
  });
});

describe("a void while nobody knows the outcome", () => {
  test("finds the charge whose answer never came, and releases it", async () => {
    const checkout = aCheckout({ paymentMethod: "pm_card_chargeThenTimeout" });
    await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect(await heldAtProcessor(checkout)).toBeGreaterThan(0);
    const { payment } = await voidOf(checkout);
    expect(payment?.status).toBe(PaymentStatus.VOIDED);
    expect(await heldAtProcessor(checkout)).toBe(0);
    expect(await eventsOf(payments, payment?.paymentId ?? "")).toEqual(["PaymentVoided"]);
    await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
  });

  test.each(Array.from({ length: 8 }, (_, index) => index))(
    "and the authorization is on its way leaves nothing held, race %i",
    async (index) => {
      const paymentMethod = index % 2 === 0 ? "pm_card_visa" : "pm_card_slow";
      const checkout = aCheckout({ paymentMethod });
      const authorization = authorized(payments, checkout).catch((error) => error.reason);
      // Half of the voids wait until the authorization is recorded as intended, the other half may come first.
      if (index >= 4) await eventually(async () => expect(await isIntended(checkout)).toBe(true));
      const voiding = eventually(() => voidOf(checkout));
      await Promise.all([authorization, voiding]);
      expect(await heldAtProcessor(checkout)).toBe(0);
      // Where the authorization was answered before the void came, that answer stays remembered.
      const late = await authorized(payments, checkout).then(
        () => "remembered answer",
        (error) => error.reason,
      );
      expect(["COMMAND_CANCELLED", "remembered answer"]).toContain(late);
      expect(await heldAtProcessor(checkout)).toBe(0);
      expect([undefined, PaymentStatus.VOIDED]).toContain((await voidOf(checkout)).payment?.status);
    },
  );
});

test("a captured payment cannot be voided", async () => {
  const checkout = aCheckout();
  await captured(payments, checkout);
  await expect(voidOf(checkout)).rejects.toMatchObject({ reason: "PAYMENT_ALREADY_CAPTURED" });
  expect(await processorDid(payments, checkout)).toHaveLength(2);
});

test("voiding a declined payment leaves it declined", async () => {
  const checkout = aCheckout({ paymentMethod: "pm_card_chargeDeclined" });
  await expect(authorized(payments, checkout)).rejects.toMatchObject({ reason: "CARD_DECLINED" });
  expect((await voidOf(checkout)).payment?.status).toBe(PaymentStatus.DECLINED);
});

test("a key of another order's payment voids nothing", async () => {
  const [mine, other] = [aCheckout(), aCheckout()];
  const paymentId = await authorized(payments, mine);
  await expect(
    payments.orders.voidPayment(
      { orderId: other.request.orderId, authorizeKey: mine.keys.authorize },
      { idempotencyKey: other.keys.void },
    ),
  ).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  const { payment } = await payments.staff.getPayment({ paymentId });
  expect(payment?.status).toBe(PaymentStatus.AUTHORIZED);
});
