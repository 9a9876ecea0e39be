import { describe, expect, test } from "vitest";
import {
  checkSameRequest,
  type Money,
  type Payment,
  type PaymentStatus,
  refundableAmount,
  statusAfter,
  statusesBefore,
  wasCaptured,
} from "./payment.ts";

const eur = (amountMinor: bigint): Money => ({ currencyCode: "EUR", amountMinor });

const aPayment = (changes: Partial<Payment> = {}): Payment => ({
  paymentId: "payment_1",
  orderId: "order_1",
  customerId: "user_1",
  authorizeKey: "saga_1:authorize",
  amount: eur(1_000n),
  status: "CAPTURED",
  paymentMethod: undefined,
  processorReference: "pi_1",
  declineReason: "",
  refundedMinor: 0n,
  refundingMinor: 0n,
  version: 3n,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  ...changes,
});

const statuses: PaymentStatus[] = ["PENDING", "AUTHORIZED", "CAPTURED", "DECLINED", "VOIDED", "REFUNDED"];
const standings = ["held", "taken", "released", "declined"] as const;

describe("the processor's word", () => {
  test("decides a pending payment, whatever it is", () => {
    expect(standings.map((standing) => statusAfter("PENDING", { standing }))).toEqual([
      "AUTHORIZED",
      "CAPTURED",
      "VOIDED",
      "DECLINED",
    ]);
  });

  test("takes or releases an authorized payment, and is no news otherwise", () => {
    expect(standings.map((standing) => statusAfter("AUTHORIZED", { standing }))).toEqual([
      undefined,
      "CAPTURED",
      "VOIDED",
      undefined,
    ]);
  });

  test.each(["CAPTURED", "DECLINED", "VOIDED", "REFUNDED"] as const)(
    "moves a payment that is %s nowhere",
    (status) => {
      for (const standing of standings) expect(statusAfter(status, { standing })).toBeUndefined();
    },
  );

  test("never leads back: no status is both before and after another", () => {
    for (const a of statuses) for (const b of statusesBefore(a)) expect(statusesBefore(b)).not.toContain(a);
    expect(statusesBefore("VOIDED")).toEqual(["PENDING", "AUTHORIZED"]);
  });
});

describe("a refund", () => {
  test("pays back everything that is left unless told how much", () => {
    expect(refundableAmount(aPayment({ refundedMinor: 300n }), undefined)).toBe(700n);
    expect(refundableAmount(aPayment(), eur(1n))).toBe(1n);
  });

  test("counts what refunds under way hold", () => {
    const payment = aPayment({ refundedMinor: 300n, refundingMinor: 600n });
    expect(refundableAmount(payment, eur(100n))).toBe(100n);
    expect(() => refundableAmount(payment, eur(101n))).toThrow(
      expect.objectContaining({ reason: "REFUND_EXCEEDS_CAPTURE", metadata: { left_minor: "100" } }),
    );
  });

  test("of nothing, or of a payment with nothing left, is refused", () => {
    expect(() => refundableAmount(aPayment(), eur(0n))).toThrow(
      expect.objectContaining({ reason: "REFUND_EXCEEDS_CAPTURE" }),
    );
    expect(() =>
      refundableAmount(aPayment({ status: "REFUNDED", refundedMinor: 1_000n }), undefined),
    ).toThrow(expect.objectContaining({ reason: "REFUND_EXCEEDS_CAPTURE" }));
  });

  test("in another currency is refused", () => {
    expect(() => refundableAmount(aPayment(), { currencyCode: "USD", amountMinor: 1n })).toThrow(
      expect.objectContaining({ reason: "CURRENCY_MISMATCH" }),
    );
  });

  test.each(["PENDING", "AUTHORIZED", "DECLINED", "VOIDED"] as const)(
    "of a payment that is %s is refused",
    (status) => {
      expect(() => refundableAmount(aPayment({ status }), undefined)).toThrow(
        expect.objectContaining({ reason: "PAYMENT_NOT_CAPTURED" }),
      );
    },
  );
});

test("money was taken for captured and refunded payments only", () => {
  expect(statuses.filter((status) => wasCaptured({ status }))).toEqual(["CAPTURED", "REFUNDED"]);
});

test.each<[string, Partial<Payment>]>([
  ["order", { orderId: "order_2" }],
  ["customer", { customerId: "user_2" }],
  ["amount", { amount: eur(1_001n) }],
  ["currency", { amount: { currencyCode: "USD", amountMinor: 1_000n } }],
])("a key used for another %s is refused", (_what, changes) => {
  const payment = aPayment();
  expect(() => checkSameRequest(payment, payment)).not.toThrow();
  expect(() => checkSameRequest(payment, aPayment(changes))).toThrow(
    expect.objectContaining({ reason: "IDEMPOTENCY_KEY_REUSED" }),
  );
});
