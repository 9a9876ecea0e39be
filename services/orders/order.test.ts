import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cancelOrder,
  confirmOrder,
  evolve,
  fold,
  type Money,
  type Order,
  type OrderEvent,
  type OrderRequest,
  type PricedProduct,
  placeOrder,
} from "./order.ts";

const euros = (amountMinor: bigint): Money => ({ currencyCode: "EUR", amountMinor });

const teapot: PricedProduct = {
  productId: "product_teapot",
  sku: "TEA-1",
  name: "Teapot",
  price: euros(1_999n),
};
const mug: PricedProduct = { productId: "product_mug", sku: "MUG-1", name: "Mug", price: euros(850n) };

const aRequest = (over: Partial<OrderRequest> = {}): OrderRequest => ({
  orderId: "order_1",
  customerId: "user_1",
  lines: [{ productId: teapot.productId, quantity: 2 }],
  products: new Map([teapot, mug].map((product) => [product.productId, product])),
  shippingFee: euros(490n),
  shippingAddress: {
    name: "Ada",
    line1: "Chausseestr. 1",
    line2: "",
    city: "Berlin",
    postalCode: "10115",
    countryCode: "DE",
  },
  serviceLevel: "standard",
  ...over,
});

const settled = { reservationId: "reservation_1", paymentId: "payment_1", shipmentId: "shipment_1" };
const aPlacedOrder = () => evolve(undefined, placeOrder(aRequest()));
const refusedFor = (reason: string, metadata: object) => expect.objectContaining({ reason, metadata });

describe("placing", () => {
  test("an order costs its lines and its shipping, at the prices of the moment", () => {
    const lines = [
      { productId: teapot.productId, quantity: 2 },
      { productId: mug.productId, quantity: 3 },
    ];
    const placed = placeOrder(aRequest({ lines }));
    expect(placed.subtotal).toEqual(euros(2n * 1_999n + 3n * 850n));
    expect(placed.total).toEqual(euros(2n * 1_999n + 3n * 850n + 490n));
    expect(placed.lines).toEqual([
      { productId: "product_teapot", sku: "TEA-1", name: "Teapot", quantity: 2, unitPrice: euros(1_999n) },
      { productId: "product_mug", sku: "MUG-1", name: "Mug", quantity: 3, unitPrice: euros(850n) },
    ]);
  });

  test("what the customer said is taken over as it is", () => {
    const { orderId, customerId, shippingAddress, shippingFee, serviceLevel } = aRequest({
      serviceLevel: "express",
    });
    const told = { orderId, customerId, shippingAddress, shippingFee, serviceLevel };
    expect(placeOrder(aRequest({ serviceLevel: "express" }))).toMatchObject({ type: "placed", ...told });
  });

  test("lines of one product become one line, where the first of them stood", () => {
    const lines = [teapot, mug, teapot].map(({ productId }, index) => ({ productId, quantity: index + 1 }));
    const placed = placeOrder(aRequest({ lines }));
    expect(placed.lines.map(({ sku, quantity }) => [sku, quantity])).toEqual([
      ["TEA-1", 4],
      ["MUG-1", 2],
    ]);
  });

  test("a product that is not sold is named", () => {
    const lines = [
      { productId: teapot.productId, quantity: 1 },
      { productId: "product_gone", quantity: 1 },
    ];
    expect(() => placeOrder(aRequest({ lines }))).toThrow(
      refusedFor("PRODUCT_NOT_SOLD", { product_id: "product_gone" }),
    );
  });

  test("a product priced in another currency than shipping is named", () => {
    const import_ = { ...mug, price: { currencyCode: "USD", amountMinor: 850n } };
    const products = new Map([teapot, import_].map((product) => [product.productId, product]));
    const lines = [teapot, import_].map(({ productId }) => ({ productId, quantity: 1 }));
    expect(() => placeOrder(aRequest({ lines, products }))).toThrow(
      refusedFor("CURRENCY_MISMATCH", { product_id: "product_mug" }),
    );
  });

  test("totals are exact and never negative; one that no payment could move is refused, and says which field", () => {
    const maxMinor = 1_000_000_000_000n;
    const price = fc.oneof(fc.bigInt({ min: 0n, max: 30_000_000n }), fc.bigInt({ min: 0n, max: maxMinor }));
    const line = fc.record({ product: fc.nat({ max: 9 }), quantity: fc.integer({ min: 1, max: 1_000 }) });
    const order = fc.record({
      prices: fc.array(price, { minLength: 10, maxLength: 10 }),
      lines: fc.array(line, { minLength: 1, maxLength: 50 }),
      fee: price,
    });
    fc.assert(
      fc.property(order, ({ prices, lines, fee }) => {
        const products = new Map(
          prices.map((amountMinor, id) => [
            String(id),
            { ...teapot, productId: String(id), price: euros(amountMinor) },
          ]),
        );
        const request = aRequest({
          products,
          shippingFee: euros(fee),
          lines: lines.map(({ product, quantity }) => ({ productId: String(product), quantity })),
        });
        // Piece by piece, as a cashier would: nothing of how the order was added up is used again.
        let expected = 0n;
        for (const { product, quantity } of lines) expected += BigInt(quantity) * (prices[product] ?? -1n);
        if (expected + fee > maxMinor) {
          const violations = [expect.objectContaining({ field: "lines" })];
          const tooLarge = expect.objectContaining({ reason: "VALIDATION_FAILED", violations });
          expect(() => placeOrder(request)).toThrow(tooLarge);
          return;
        }
        const placed = placeOrder(request);
        expect(placed.subtotal).toEqual(euros(expected));
        expect(placed.total).toEqual(euros(expected + fee));
        expect(placed.total.amountMinor >= 0n).toBe(true);
        expect(new Set(placed.lines.map(({ productId }) => productId)).size).toBe(placed.lines.length);
      }),
    );
  });
});

describe("ending", () => {
  test("a pending order is confirmed with what was settled for it", () => {
    const order = aPlacedOrder();
    expect(confirmOrder(order, settled)).toEqual({ type: "confirmed", ...settled });
    expect(evolve(order, confirmOrder(order, settled))).toEqual({
      ...order,
      ...settled,
      outcome: "confirmed",
      status: "confirmed",
      version: 2n,
    });
  });

  test("a pending order is cancelled for a reason, and nothing was settled for it", () => {
    const order = aPlacedOrder();
    expect(evolve(order, cancelOrder(order, "CARD_DECLINED"))).toEqual({
      ...order,
      outcome: "cancelled",
      status: "cancelled",
      cancelReason: "CARD_DECLINED",
      version: 2n,
    });
    expect(order).toMatchObject({ cancelReason: "", reservationId: "", paymentId: "", shipmentId: "" });
  });

  test("an order that is to be cancelled is confirmed all the same once its money is taken, or cancelled", () => {
    const order = evolve(aPlacedOrder(), { type: "cancellationRequested" });
    expect(order.status).toBe("cancelling");
    expect(evolve(order, confirmOrder(order, settled))).toMatchObject({
      outcome: "confirmed",
      status: "cancelling",
      ...settled,
    });
    expect(evolve(order, cancelOrder(order, "CUSTOMER_CANCELLED"))).toMatchObject({
      outcome: "cancelled",
      status: "cancelled",
      cancelling: false,
    });
  });

  test.each(["confirmed", "cancelled"] as const)("an order that is %s stays so", (status) => {
    const order: Order = { ...aPlacedOrder(), outcome: status, status };
    const tooLate = refusedFor("ORDER_ALREADY_ENDED", { order_id: "order_1", status });
    expect(() => confirmOrder(order, settled)).toThrow(tooLate);
    expect(() => cancelOrder(order, "OUT_OF_STOCK")).toThrow(tooLate);
  });
});

describe("history", () => {
  const text = fc.string();
  const placedEvent: fc.Arbitrary<OrderEvent> = fc
    .record({ quantity: fc.integer({ min: 1, max: 1_000 }), express: fc.boolean() })
    .map(({ quantity, express }) =>
      placeOrder(
        aRequest({
          lines: [{ productId: teapot.productId, quantity }],
          serviceLevel: express ? "express" : "standard",
        }),
      ),
    );
  const laterEvent: fc.Arbitrary<OrderEvent> = fc.oneof(
    fc.record({ reservationId: text, paymentId: text, shipmentId: text }).map((facts) => ({
      type: "confirmed" as const,
      ...facts,
    })),
    text.map((cancelReason) => ({ type: "cancelled" as const, cancelReason })),
  );
  const history = fc
    .tuple(placedEvent, fc.array(laterEvent, { maxLength: 10 }))
    .map(([first, later]) => [first, ...later]);

  test("the state after any history is that of its events applied one by one, and counts them", () => {
    fc.assert(
      fc.property(history, (events) => {
        let order: Order | undefined;
        for (const event of events) order = evolve(order, event);
        expect(fold(events)).toEqual(order);
        expect(fold(events)?.version).toBe(BigInt(events.length));
        expect(fold(events)?.status).toBe(events.at(-1)?.type === "placed" ? "pending" : events.at(-1)?.type);
      }),
    );
  });

  test("any history read in two parts ends where it ends in one", () => {
    const cut = fc.tuple(history, fc.nat({ max: 11 }));
    fc.assert(
      fc.property(cut, ([events, at]) => {
        const before = fold(events.slice(0, at));
        expect(events.slice(at).reduce<Order | undefined>(evolve, before)).toEqual(fold(events));
      }),
    );
  });

  test("what was ordered and what it costs stay as they were placed", () => {
    fc.assert(
      fc.property(history, (events) => {
        const { lines, subtotal, shippingFee, total, shippingAddress, customerId, orderId } = fold(
          events,
        ) as Order;
        expect(events[0]).toMatchObject({
          lines,
          subtotal,
          shippingFee,
          total,
          shippingAddress,
          customerId,
          orderId,
        });
      }),
    );
  });

  test("what a later release has written into it changes nothing but its version, and it ends all the same", () => {
    const placed = aPlacedOrder();
    const after = evolve(placed, { type: "later" });
    expect(after).toEqual({ ...placed, version: 2n });
    expect(evolve(after, confirmOrder(after, settled))).toMatchObject({ outcome: "confirmed", version: 3n });
    fc.assert(
      fc.property(history, fc.nat(), (events, at) => {
        const cut = 1 + (at % events.length);
        const later = fold([...events.slice(0, cut), { type: "later" }, ...events.slice(cut)]);
        const plain = fold(events) as Order;
        expect(later).toEqual({ ...plain, version: plain.version + 1n });
      }),
    );
  });

  test("no event but the placing begins an order, and no events are no order", () => {
    expect(() => fold([{ type: "cancelled", cancelReason: "OUT_OF_STOCK" }])).toThrow(/cannot begin/);
    expect(() => fold([{ type: "later" }])).toThrow(/cannot begin/);
    expect(fold([])).toBeUndefined();
  });
});
