import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toCancelInput } from "./cancel-saga.ts";
import { finishCancellation, keptLines, refuseCancellation, requestCancellation } from "./cancellation.ts";
import { confirmOrder, evolve, type Order, type OrderEvent, placeOrder, refundedOf } from "./order.ts";
import {
  type AskedLine,
  acceptRefund,
  acceptReturn,
  completeRefund,
  piecesIn,
  refuseRefund,
} from "./refund.ts";
import { toPaidBack, toReturnInput } from "./refund-sagas.ts";

const euros = (amountMinor: bigint) => ({ currencyCode: "EUR", amountMinor });
const teapot = { productId: "product_teapot", sku: "TEA-1", name: "Teapot", price: euros(1_999n) };
const mug = { productId: "product_mug", sku: "MUG-1", name: "Mug", price: euros(850n) };
const feeMinor = 490n;
const totalMinor = 2n * 1_999n + 3n * 850n + feeMinor;

const placed = placeOrder({
  orderId: "order_1",
  customerId: "user_1",
  lines: [
    { productId: teapot.productId, quantity: 2 },
    { productId: mug.productId, quantity: 3 },
  ],
  products: new Map([teapot, mug].map((product) => [product.productId, product])),
  shippingFee: euros(feeMinor),
  shippingAddress: { name: "Ada", line1: "A 1", line2: "", city: "B", postalCode: "1", countryCode: "DE" },
  serviceLevel: "standard",
});
const settled = { reservationId: "reservation_1", paymentId: "payment_1", shipmentId: "shipment_1" };

const pending = evolve(undefined, placed);
const confirmed = evolve(pending, confirmOrder(pending, settled));
const having = (order: Order, ...events: readonly OrderEvent[]) => events.reduce<Order>(evolve, order);

const asked = (quantities: Readonly<Record<string, number>>): AskedLine[] =>
  Object.entries(quantities).map(([productId, quantity]) => ({ productId, quantity }));

let ids = 0;
const returning = (order: Order, quantities: Readonly<Record<string, number>>, unsellable = false) => {
  ids += 1;
  return acceptReturn(order, { refundId: `return_${ids}`, lines: asked(quantities), unsellable, note: "" });
};
const refunding = (order: Order, what: { lines?: Record<string, number>; amount?: bigint }) => {
  ids += 1;
  return acceptRefund(order, {
    refundId: `refund_${ids}`,
    lines: asked(what.lines ?? {}),
    amount: what.amount === undefined ? undefined : euros(what.amount),
    note: "",
  });
};
/** The order after a return or refund that was accepted and done. */
const done = (order: Order, accepted: ReturnType<typeof returning>) => {
  const open = evolve(order, accepted);
  return evolve(open, completeRefund(open, accepted.refund.refundId));
};

const refusedFor = (reason: string, metadata: object = expect.anything()) =>
  expect.objectContaining({ reason, metadata });

describe("a return", () => {
  test("pays back what its pieces cost, and says what comes back", () => {
    expect(returning(confirmed, { product_mug: 2 }, true)).toMatchObject({
      type: "returnAccepted",
      refund: {
        kind: "return",
        status: "pending",
        lines: [{ productId: "product_mug", sku: "MUG-1", quantity: 2 }],
        amount: euros(1_700n),
        unsellable: true,
      },
    });
  });

  test("adds lines of one product up", () => {
    const lines = [...asked({ product_mug: 1 }), ...asked({ product_mug: 2 })];
    const { refund } = acceptReturn(confirmed, { refundId: "return_x", lines, unsellable: false, note: "" });
    expect(refund.lines).toEqual([{ productId: "product_mug", sku: "MUG-1", quantity: 3 }]);
  });

  test("of everything pays back the shipping fee too, and the order is refunded", () => {
    const everything = returning(confirmed, { product_mug: 3, product_teapot: 2 });
    expect(everything.refund.amount).toEqual(euros(totalMinor));
    expect(done(confirmed, everything)).toMatchObject({ status: "refunded" });
  });

  test("that leaves nothing of the order with the customer pays back the shipping fee too", () => {
    const one = done(confirmed, returning(confirmed, { product_mug: 3 }));
    expect(one.status).toBe("confirmed");
    const rest = returning(one, { product_teapot: 2 });
    expect(rest.refund.amount).toEqual(euros(2n * 1_999n + feeMinor));
    expect(done(one, rest).status).toBe("refunded");
  });

  test("pays back no more than is left of the payment", () => {
    const generous = done(confirmed, refunding(confirmed, { amount: totalMinor - 100n }));
    expect(returning(generous, { product_mug: 3 }).refund.amount).toEqual(euros(100n));
    const empty = done(generous, refunding(generous, { amount: 100n }));
    expect(returning(empty, { product_mug: 3 }).refund.amount).toEqual(euros(0n));
  });

  test("holds its pieces while it is under way, so that they are not returned twice", () => {
    const first = having(confirmed, returning(confirmed, { product_mug: 2 }));
    expect(first.status).toBe("refunding");
    expect(() => returning(first, { product_mug: 2 })).toThrow(
      refusedFor("QUANTITY_EXCEEDS_ORDER", { product_id: "product_mug", left: "1" }),
    );
    expect(having(first, returning(first, { product_mug: 1 })).refunds).toHaveLength(2);
  });

  test("that is refused gives its pieces and its money free again", () => {
    const accepted = returning(confirmed, { product_mug: 3 });
    const open = evolve(confirmed, accepted);
    const { refundId } = accepted.refund;
    const refused = evolve(open, refuseRefund(open, refundId, "REFUND_EXCEEDS_CAPTURE"));
    expect(refused).toMatchObject({
      status: "confirmed",
      refunds: [{ status: "refused", refuseReason: "REFUND_EXCEEDS_CAPTURE" }],
    });
    expect(returning(refused, { product_mug: 3 }).refund.amount).toEqual(euros(2_550n));
  });

  test("of a product that is not in the order is refused", () => {
    expect(() => returning(confirmed, { product_gone: 1 })).toThrow(
      refusedFor("PRODUCT_NOT_IN_ORDER", { product_id: "product_gone" }),
    );
  });
});

describe("a refund without a return", () => {
  test("pays back the amount it names, or what its pieces cost", () => {
    expect(refunding(confirmed, { amount: 77n }).refund).toMatchObject({ lines: [], amount: euros(77n) });
    expect(refunding(confirmed, { lines: { product_teapot: 1 } }).refund).toMatchObject({
      kind: "refund",
      lines: [{ sku: "TEA-1", quantity: 1 }],
      amount: euros(1_999n),
    });
  });

  test("never pays back more than is left, counting what is under way", () => {
    const open = having(confirmed, refunding(confirmed, { amount: totalMinor - 10n }));
    expect(() => refunding(open, { amount: 11n })).toThrow(
      refusedFor("REFUND_EXCEEDS_PAYMENT", { left_minor: "10" }),
    );
    expect(() => refunding(open, { lines: { product_mug: 1 } })).toThrow(
      refusedFor("REFUND_EXCEEDS_PAYMENT"),
    );
    expect(refunding(open, { amount: 10n }).refund.amount).toEqual(euros(10n));
  });

  test("of pieces counts them: a piece is paid back once, returned or not", () => {
    const one = done(confirmed, refunding(confirmed, { lines: { product_teapot: 2 } }));
    expect(() => returning(one, { product_teapot: 1 })).toThrow(refusedFor("QUANTITY_EXCEEDS_ORDER"));
  });

  test("of everything makes the order a refunded one", () => {
    expect(done(confirmed, refunding(confirmed, { amount: totalMinor })).status).toBe("refunded");
  });

  test("in another currency is refused", () => {
    const amount = { currencyCode: "USD", amountMinor: 1n };
    expect(() => acceptRefund(confirmed, { refundId: "refund_x", lines: [], amount, note: "" })).toThrow(
      refusedFor("REFUND_CURRENCY_MISMATCH", { currency_code: "EUR" }),
    );
  });
});

describe("returns and refunds", () => {
  const cancelled = having(pending, { type: "cancelled", cancelReason: "OUT_OF_STOCK" });
  const cancelling = having(confirmed, { type: "cancellationRequested" });

  test.each([
    ["pending", pending],
    ["cancelled", cancelled],
    ["cancelling", cancelling],
  ])("of an order that is %s are refused", (status, order) => {
    const notNow = refusedFor("ORDER_NOT_CONFIRMED", { order_id: "order_1", status });
    expect(() => returning(order, { product_mug: 1 })).toThrow(notNow);
    expect(() => refunding(order, { amount: 1n })).toThrow(notNow);
  });

  test("of one order end at a hundred", () => {
    let order = confirmed;
    for (let count = 0; count < 100; count += 1) order = done(order, refunding(order, { amount: 1n }));
    expect(() => refunding(order, { amount: 1n })).toThrow(refusedFor("TOO_MANY_REFUNDS"));
    expect(() => returning(order, { product_mug: 1 })).toThrow(refusedFor("TOO_MANY_REFUNDS"));
  });

  test("end once", () => {
    const accepted = refunding(confirmed, { amount: 1n });
    const end = done(confirmed, accepted);
    expect(() => completeRefund(end, accepted.refund.refundId)).toThrow(/is not pending/);
    expect(() => refuseRefund(end, accepted.refund.refundId, "LATE")).toThrow(/is not pending/);
    expect(() => completeRefund(end, "refund_unknown")).toThrow(/is not pending/);
  });

  const products = [teapot.productId, mug.productId] as const;
  const attempt = fc.record({
    kind: fc.constantFrom("return", "lines", "amount", "cancel"),
    teapots: fc.integer({ min: 0, max: 3 }),
    mugs: fc.integer({ min: 1, max: 4 }),
    amount: fc.bigInt({ min: 1n, max: totalMinor + 1n }),
    end: fc.constantFrom("completed", "refused", "open"),
  });

  test("in any order never pay back more than was paid, nor more pieces than were bought", () => {
    fc.assert(
      fc.property(fc.array(attempt, { maxLength: 30 }), (attempts) => {
        let order = confirmed;
        for (const { kind, teapots, mugs, amount, end } of attempts) {
          try {
            const lines = { product_mug: mugs, ...(teapots > 0 && { product_teapot: teapots }) };
            if (kind === "cancel") {
              const requested = requestCancellation(order);
              if (requested) order = evolve(order, requested);
              if (requested) order = evolve(order, refuseCancellation(order, "SHIPMENT_ALREADY_DISPATCHED"));
              continue;
            }
            const accepted =
              kind === "return"
                ? returning(order, lines)
                : refunding(order, kind === "lines" ? { lines } : { amount });
            order = evolve(order, accepted);
            const { refundId } = accepted.refund;
            if (end === "completed") order = evolve(order, completeRefund(order, refundId));
            if (end === "refused") order = evolve(order, refuseRefund(order, refundId, "NO"));
          } catch (error) {
            expect(error).toHaveProperty("reason");
          }
          const standing = order.refunds.filter(({ status }) => status !== "refused");
          const heldMinor = standing.reduce((sum, refund) => sum + refund.amount.amountMinor, 0n);
          expect(heldMinor <= totalMinor).toBe(true);
          expect(refundedOf(order).amountMinor <= heldMinor).toBe(true);
          for (const productId of products) {
            const bought = order.lines.find((line) => line.productId === productId)?.quantity ?? 0;
            expect(piecesIn(standing, productId)).toBeLessThanOrEqual(bought);
          }
        }
      }),
    );
  });
});

describe("cancelling", () => {
  test("is asked for once: asking again changes nothing, and neither does asking after the end", () => {
    for (const order of [pending, confirmed]) {
      const requested = requestCancellation(order);
      expect(requested).toEqual({ type: "cancellationRequested" });
      const cancelling = having(order, { type: "cancellationRequested" });
      expect(cancelling.status).toBe("cancelling");
      expect(requestCancellation(cancelling)).toBeUndefined();
    }
    const ended = having(pending, { type: "cancelled", cancelReason: "CARD_DECLINED" });
    expect(requestCancellation(ended)).toBeUndefined();
  });

  test("of a confirmed order ends it with all its money back", () => {
    const cancelling = having(confirmed, { type: "cancellationRequested" });
    const end = evolve(cancelling, finishCancellation(cancelling));
    expect(end).toMatchObject({ status: "cancelled", cancelReason: "CUSTOMER_CANCELLED", cancelling: false });
    expect(refundedOf(end)).toEqual(euros(totalMinor));
    expect(() => finishCancellation(end)).toThrow(refusedFor("ORDER_ALREADY_ENDED"));
    expect(() => confirmOrder(end, settled)).toThrow(refusedFor("ORDER_ALREADY_ENDED"));
  });

  test("that comes too late leaves the order confirmed, and says why, until it is asked for again", () => {
    const cancelling = having(confirmed, { type: "cancellationRequested" });
    const back = evolve(cancelling, refuseCancellation(cancelling, "SHIPMENT_ALREADY_DISPATCHED"));
    expect(back).toMatchObject({
      status: "confirmed",
      cancelRefuseReason: "SHIPMENT_ALREADY_DISPATCHED",
      cancelReason: "",
    });
    expect(having(back, { type: "cancellationRequested" }).cancelRefuseReason).toBe("");
  });

  test("waits for returns and refunds that are under way, and comes too late for a refunded order", () => {
    const open = having(confirmed, returning(confirmed, { product_mug: 1 }));
    expect(() => requestCancellation(open)).toThrow(refusedFor("REFUND_UNDER_WAY"));
    const end = done(confirmed, refunding(confirmed, { amount: totalMinor }));
    expect(() => requestCancellation(end)).toThrow(refusedFor("ORDER_ALREADY_ENDED"));
  });

  test("gives back to stock what was not returned before", () => {
    expect(keptLines(confirmed).map(({ sku, quantity }) => [sku, quantity])).toEqual([
      ["TEA-1", 2],
      ["MUG-1", 3],
    ]);
    const one = done(confirmed, returning(confirmed, { product_mug: 3 }));
    const two = done(one, returning(one, { product_teapot: 1 }));
    expect(keptLines(two).map(({ sku, quantity }) => [sku, quantity])).toEqual([["TEA-1", 1]]);
  });

  test.each([
    ["before it was asked for", confirmed],
    ["while checkout is under way", pending],
  ])("does not end %s", (_when, order) => {
    expect(() => finishCancellation(order)).toThrow(refusedFor("ORDER_ALREADY_ENDED"));
    expect(() => refuseCancellation(order, "LATE")).toThrow(refusedFor("ORDER_ALREADY_ENDED"));
  });
});

describe("a saga begins with", () => {
  const pieces = (quantities: Readonly<Record<string, number>>) =>
    Object.entries(quantities).map(([sku, quantity]) => ({ sku, quantity }));

  test("all that is kept of a cancelled order, and the key under which checkout booked its parcel", () => {
    const order = done(confirmed, returning(confirmed, { product_mug: 2 }));
    expect(toCancelInput(order, "saga_0")).toEqual({
      paymentId: "payment_1",
      reservationId: "reservation_1",
      lines: pieces({ "TEA-1": 2, "MUG-1": 1 }),
      bookKey: "saga_0:book",
    });
  });

  test.each([
    ["the pieces of a return that can be sold again", false, pieces({ "MUG-1": 2 })],
    ["no pieces of a return that nobody can sell", true, []],
  ])("%s, and its money to the cent", (_, unsellable, lines) => {
    const { refund } = returning(confirmed, { product_mug: 2 }, unsellable);
    const amount = { currencyCode: "EUR", amountMinor: "1700" };
    const money = { paymentId: "payment_1", refundId: refund.refundId, amount };
    expect(toReturnInput(confirmed, refund)).toEqual({ ...money, reservationId: "reservation_1", lines });
    expect(toPaidBack(confirmed, refund)).toEqual(money);
  });
});
