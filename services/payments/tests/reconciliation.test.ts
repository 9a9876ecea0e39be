import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { openReconciling, type Reconciling } from "#kit/testing/reconciling.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { aCheckout, captured, type Harness, startPayments } from "./harness.ts";

let harness: Harness;
let reconciling: Reconciling;

beforeAll(async () => {
  harness = await startPayments();
  reconciling = openReconciling(harness.service, "payments");
});
afterAll(() => harness.stop());

const comparison = "payments-with-ledger";
const own = (sql: string) => runSql(harness.service.database.ownerUrl, sql);

test("what is booked is what was taken and paid back; what is not is found until it is mended", async () => {
  const checkout = aCheckout({ amountMinor: 900n });
  const paymentId = await captured(harness, checkout);
  const amount = { currencyCode: "EUR", amountMinor: 200n };
  await harness.staff.refundPayment({ paymentId, amount }, { idempotencyKey: newId("key") });
  expect(await reconciling.run("all")).toEqual([]);
  const set = (change: string) => own(`update payments set ${change} where payment_id = '${paymentId}'`);

  await set("refunded_minor = 300");
  const refunded = "300 was paid back, 200 is booked as refunded";
  expect(await reconciling.run(comparison)).toEqual([{ subjectId: paymentId, detail: refunded }]);
  expect(await reconciling.listed()).toEqual([`${comparison} ${paymentId}`]);
  expect(await reconciling.announced(paymentId)).toBe(1);
  expect(await reconciling.gauge(comparison)).toBe(1);
  await set("refunded_minor = 200");
  expect(await reconciling.run(comparison)).toEqual([]);

  await set("amount_minor = 901");
  const taken = "901 was taken, 900 is booked as captured";
  expect(await reconciling.run(comparison)).toEqual([{ subjectId: paymentId, detail: taken }]);
  await set("amount_minor = 900, currency_code = 'USD'");
  const currency = "its entries are in another currency";
  expect(await reconciling.run(comparison)).toEqual([{ subjectId: paymentId, detail: currency }]);
  await set("currency_code = 'EUR'");
  expect(await reconciling.run(comparison)).toEqual([]);
  expect(await reconciling.gauge(comparison)).toBe(0);
});
