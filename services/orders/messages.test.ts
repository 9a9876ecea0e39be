import { readdirSync, readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { OrderCancelledSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { CheckoutStep, OrderSchema, OrderStatus, RefundStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Saga } from "#kit/saga/definition.ts";
import {
  checkoutProgress,
  fromEventPayload,
  fromWireLevel,
  fromWireStatus,
  orderProgress,
  toDocument,
  toEventPayload,
  toOrderMessage,
  toPlacedMessage,
  toProgress,
} from "./messages.ts";
import { evolve, type Order, type OrderEvent, type OrderPlaced, type RefundAccepted } from "./order.ts";
import type { OrderView } from "./order-view.ts";

/** The events behind the bytes in `tests/golden`. */
const placed: OrderPlaced = {
  type: "placed",
  orderId: "order_01jd7f3v8qe9wv0c1a2d3f4g5h",
  customerId: "user_01hzy3v8q0e9wb0c1a2d3f4g5h",
  lines: [
    {
      productId: "product_01h455vb4pex5vsknk084sn02q",
      sku: "TEA-1",
      name: "Teekanne für zwölf ☕",
      quantity: 2,
      unitPrice: { currencyCode: "EUR", amountMinor: 1_999n },
    },
    {
      productId: "product_01h455vb4pex5vsknk084sn03r",
      sku: "GOLD-1",
      name: "Gold",
      quantity: 1_000,
      unitPrice: { currencyCode: "EUR", amountMinor: 999_999_999_999n },
    },
  ],
  subtotal: { currencyCode: "EUR", amountMinor: 1_000_000_000_002_998n },
  shippingFee: { currencyCode: "EUR", amountMinor: 1_290n },
  total: { currencyCode: "EUR", amountMinor: 1_000_000_000_004_288n },
  shippingAddress: {
    name: "Ada Lovelace",
    line1: "Chausseestr. 1",
    line2: "Hinterhaus",
    city: "Berlin",
    postalCode: "10115",
    countryCode: "DE",
  },
  serviceLevel: "express",
};
const confirmed: OrderEvent = {
  type: "confirmed",
  reservationId: "reservation_01jd7f3v8qe9wv0c1a2d3f4g5h",
  paymentId: "payment_01jd7f3v8qe9wv0c1a2d3f4g5h",
  shipmentId: "shipment_01jd7f3v8qe9wv0c1a2d3f4g5h",
};
const cancelled: OrderEvent = { type: "cancelled", cancelReason: "CARD_DECLINED" };
const cancellationRefused: OrderEvent = {
  type: "cancellationRefused",
  refuseReason: "SHIPMENT_ALREADY_DISPATCHED",
};
const returnAccepted: RefundAccepted = {
  type: "returnAccepted",
  refund: {
    refundId: "return_01jd7f3v8qe9wv0c1a2d3f4g5h",
    kind: "return",
    status: "pending",
    lines: [{ productId: "product_01h455vb4pex5vsknk084sn02q", sku: "TEA-1", quantity: 1 }],
    amount: { currencyCode: "EUR", amountMinor: 1_999n },
    unsellable: true,
    note: "Deckel zerbrochen",
    refuseReason: "",
  },
};
const refundAccepted: RefundAccepted = {
  type: "refundAccepted",
  refund: {
    ...returnAccepted.refund,
    refundId: "refund_01jd7f3v8qe9wv0c1a2d3f4g5h",
    kind: "refund",
    unsellable: false,
  },
};
const refunded: OrderEvent = { type: "refunded", refundId: returnAccepted.refund.refundId };
const refundRefused: OrderEvent = {
  type: "refundRefused",
  refundId: refundAccepted.refund.refundId,
  refuseReason: "REFUND_EXCEEDS_CAPTURE",
};

const order = evolve(undefined, placed);

describe("an event's stored bytes", () => {
  const word = fc.string({ unit: "grapheme" });
  const money = fc.record({ currencyCode: fc.constant("EUR"), amountMinor: fc.bigInt(0n, 2n ** 63n - 1n) });
  const line = fc.record({
    productId: word,
    sku: word,
    name: word,
    quantity: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    unitPrice: money,
  });
  const address = fc.record({
    name: word,
    line1: word,
    line2: word,
    city: word,
    postalCode: word,
    countryCode: word,
  });
  const anyEvent: fc.Arbitrary<OrderEvent> = fc.oneof(
    fc.record({
      type: fc.constant("placed" as const),
      orderId: word,
      customerId: word,
      lines: fc.array(line, { maxLength: 5 }),
      subtotal: money,
      shippingFee: money,
      total: money,
      shippingAddress: address,
      serviceLevel: fc.constantFrom("standard" as const, "express" as const),
    }),
    fc.record({
      type: fc.constant("confirmed" as const),
      reservationId: word,
      paymentId: word,
      shipmentId: word,
    }),
    fc.record({ type: fc.constant("cancelled" as const), cancelReason: word }),
    fc.constant({ type: "cancellationRequested" as const }),
    fc.record({ type: fc.constant("cancellationRefused" as const), refuseReason: word }),
    fc.constantFrom("return" as const, "refund" as const).chain((kind) =>
      fc.record({
        type: fc.constant(`${kind}Accepted` as const),
        refund: fc.record({
          refundId: word,
          kind: fc.constant(kind),
          status: fc.constant("pending" as const),
          lines: fc.array(fc.record({ productId: word, sku: word, quantity: fc.nat() }), { maxLength: 3 }),
          amount: money,
          unsellable: kind === "return" ? fc.boolean() : fc.constant(false),
          note: word,
          refuseReason: fc.constant(""),
        }),
      }),
    ),
    fc.record({ type: fc.constant("refunded" as const), refundId: word }),
    fc.record({ type: fc.constant("refundRefused" as const), refundId: word, refuseReason: word }),
  );
  /** Generated messages are not plain objects; what they hold is. */
  const plain = (event: object) =>
    JSON.parse(
      JSON.stringify(event, (key, value) =>
        key === "$typeName" || key === "$unknown"
          ? undefined
          : typeof value === "bigint"
            ? `${value}n`
            : value,
      ),
    );

  test("of a later release are read as its own, so that the order goes on without them", () => {
    expect(fromEventPayload("giftWrapped", Buffer.from([8, 1]))).toEqual({ type: "later" });
  });

  test("give the event back, whatever it says", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const payload = toEventPayload(order, event);
        expect(plain(fromEventPayload(event.type, payload))).toEqual(plain(event));
      }),
    );
  });

  // Events are kept for ever. When an event's message changes, its old bytes stay here, and bytes of the new form join them.
  const golden: Readonly<Record<string, OrderEvent>> = {
    "placed-1.binpb": placed,
    "confirmed-1.binpb": confirmed,
    "cancelled-1.binpb": cancelled,
    "cancellationRequested-1.binpb": { type: "cancellationRequested" },
    "cancellationRefused-1.binpb": cancellationRefused,
    "returnAccepted-1.binpb": returnAccepted,
    "refundAccepted-1.binpb": refundAccepted,
    "refunded-1.binpb": refunded,
    "refundRefused-1.binpb": refundRefused,
  };
  const folder = new URL("./tests/golden/", import.meta.url);

  test.each(Object.entries(golden))("written as %s are read as what they said then", (name, event) => {
    const payload = readFileSync(new URL(name, folder));
    expect(fromEventPayload(event.type, payload)).toMatchObject(event);
  });

  test("were committed for every type of event, and none lies there unread", () => {
    const committed = readdirSync(folder).filter((name) => name.endsWith(".binpb"));
    expect(committed.sort()).toEqual(Object.keys(golden).sort());
    const types: Readonly<Record<OrderEvent["type"], true>> = {
      placed: true,
      confirmed: true,
      cancelled: true,
      cancellationRequested: true,
      cancellationRefused: true,
      returnAccepted: true,
      refundAccepted: true,
      refunded: true,
      refundRefused: true,
    };
    expect(new Set(Object.values(golden).map(({ type }) => type))).toEqual(new Set(Object.keys(types)));
  });
});

const placedAt = new Date("2026-03-04T05:06:07.089Z");
const updatedAt = new Date("2026-03-04T05:06:09.100Z");

const viewOf = (state: Order): OrderView => ({
  orderId: state.orderId,
  customerId: state.customerId,
  status: state.status,
  document: toDocument(state),
  version: state.version,
  placedAt,
  updatedAt,
});

const sagaOf = (over: Partial<Saga<unknown>>): Saga<unknown> => ({
  sagaId: "saga_1",
  subjectId: order.orderId,
  correlationId: "request-1",
  input: {},
  results: {},
  failure: undefined,
  parking: undefined,
  ageMs: 0,
  lastDone: undefined,
  status: "running",
  ...over,
});

const declined = { step: "capture", reason: "CARD_DECLINED", message: "The card was declined." };

describe("an order as its customer reads it", () => {
  test("says all that is known, and when", () => {
    const message = toOrderMessage(viewOf(evolve(order, confirmed)), undefined);
    expect(message).toMatchObject({
      orderId: placed.orderId,
      customerId: placed.customerId,
      status: OrderStatus.CONFIRMED,
      step: CheckoutStep.PAYMENT_CAPTURED,
      cancelReason: "",
      lines: placed.lines,
      subtotal: placed.subtotal,
      shippingFee: placed.shippingFee,
      total: placed.total,
      shippingAddress: placed.shippingAddress,
      serviceLevel: ServiceLevel.EXPRESS,
      paymentId: confirmed.paymentId,
      shipmentId: confirmed.shipmentId,
      version: 2n,
    });
    expect(message.placedAt && timestampDate(message.placedAt)).toEqual(placedAt);
    expect(message.updatedAt && timestampDate(message.updatedAt)).toEqual(updatedAt);
  });

  test("says the same right after it was placed as when it is read for the first time", () => {
    const read = toOrderMessage({ ...viewOf(order), updatedAt: placedAt }, undefined);
    expect(read).toEqual(toPlacedMessage(order, placedAt));
  });

  test("has no times and no step in what is kept of it, since those change by themselves", () => {
    const kept = fromBinary(OrderSchema, toDocument(order));
    expect(kept).toMatchObject({ step: CheckoutStep.UNSPECIFIED, status: OrderStatus.PENDING });
    expect([kept.placedAt, kept.updatedAt]).toEqual([undefined, undefined]);
  });

  test.each<[string | undefined, CheckoutStep]>([
    [undefined, CheckoutStep.ACCEPTED],
    ["reserve", CheckoutStep.STOCK_RESERVED],
    ["authorize", CheckoutStep.PAYMENT_AUTHORIZED],
    ["book", CheckoutStep.SHIPMENT_BOOKED],
    ["capture", CheckoutStep.PAYMENT_CAPTURED],
  ])("has come so far as its checkout, whose last step is %s", (lastDone, step) => {
    expect(toProgress(viewOf(order), sagaOf({ lastDone }))).toEqual({
      orderId: placed.orderId,
      status: OrderStatus.PENDING,
      step,
      cancelReason: "",
    });
  });

  test("is being undone once its checkout has turned round, however far it had come", () => {
    const saga = sagaOf({ status: "compensating", failure: declined, lastDone: "book" });
    expect(toProgress(viewOf(order), saga).step).toBe(CheckoutStep.UNDOING);
  });

  test("tells payment and shipment as soon as they are there, and no longer once they are being undone", () => {
    const results = { authorize: { paymentId: "payment_7" }, book: { shipmentId: "shipment_7" } };
    expect(toOrderMessage(viewOf(order), sagaOf({}))).toMatchObject({ paymentId: "", shipmentId: "" });
    expect(toOrderMessage(viewOf(order), sagaOf({ results }))).toMatchObject({
      paymentId: "payment_7",
      shipmentId: "shipment_7",
    });
    expect(toOrderMessage(viewOf(order), sagaOf({ results, failure: declined }))).toMatchObject({
      paymentId: "",
      shipmentId: "",
    });
  });

  test("whose checkout waits for an operator is pending, as far as it has come", () => {
    const parking = { reason: "UNUSABLE_REPLY", message: "Odd." };
    const parked = sagaOf({ status: "parked", parking, lastDone: "authorize" });
    expect(toProgress(viewOf(order), parked).step).toBe(CheckoutStep.PAYMENT_AUTHORIZED);
    expect(checkoutProgress(parked)).toMatchObject({ status: OrderStatus.PENDING, cancelReason: "" });
    expect(toProgress(viewOf(order), { ...parked, failure: declined }).step).toBe(CheckoutStep.UNDOING);
  });

  test("has ended with the same step for everybody, whether or not its checkout is at hand", () => {
    const end = viewOf(evolve(order, cancelled));
    const expected = {
      orderId: placed.orderId,
      status: OrderStatus.CANCELLED,
      step: CheckoutStep.UNDOING,
      cancelReason: "CARD_DECLINED",
    };
    expect(toProgress(end, undefined)).toEqual(expected);
    expect(toProgress(end, sagaOf({ status: "compensated", lastDone: "reserve" }))).toEqual(expected);
  });
});

describe("a checkout's progress as its watcher hears it", () => {
  const failure = { step: "authorize", reason: "CARD_DECLINED", message: "The card was declined." };

  test.each([
    ["running", undefined, "reserve", CheckoutStep.STOCK_RESERVED],
    ["compensating", failure, "reserve", CheckoutStep.UNDOING],
  ] as const)("while it is %s", (sagaStatus, cause, lastDone, step) => {
    const saga = sagaOf({ status: sagaStatus, failure: cause, lastDone });
    expect(checkoutProgress(saga)).toEqual({
      orderId: order.orderId,
      status: OrderStatus.PENDING,
      step,
      cancelReason: "",
    });
  });
});

describe("an order that has changed as its watcher hears it", () => {
  const requested: OrderEvent = { type: "cancellationRequested" };

  test.each<[string, readonly OrderEvent[], OrderStatus, CheckoutStep, string]>([
    ["confirmed", [confirmed], OrderStatus.CONFIRMED, CheckoutStep.PAYMENT_CAPTURED, ""],
    ["cancelled", [cancelled], OrderStatus.CANCELLED, CheckoutStep.UNDOING, "CARD_DECLINED"],
    ["to be cancelled before it was decided", [requested], OrderStatus.CANCELLING, CheckoutStep.UNDOING, ""],
    [
      "to be cancelled after it was confirmed",
      [confirmed, requested],
      OrderStatus.CANCELLING,
      CheckoutStep.UNDOING,
      "",
    ],
    [
      "confirmed while it is to be cancelled",
      [requested, confirmed],
      OrderStatus.CANCELLING,
      CheckoutStep.UNDOING,
      "",
    ],
    [
      "not to be cancelled any more",
      [confirmed, requested, cancellationRefused],
      OrderStatus.CONFIRMED,
      CheckoutStep.PAYMENT_CAPTURED,
      "",
    ],
    [
      "partly on its way back",
      [confirmed, returnAccepted],
      OrderStatus.REFUNDING,
      CheckoutStep.PAYMENT_CAPTURED,
      "",
    ],
    [
      "partly paid back",
      [confirmed, returnAccepted, refunded],
      OrderStatus.CONFIRMED,
      CheckoutStep.PAYMENT_CAPTURED,
      "",
    ],
  ])("%s", (_what, events, status, step, cancelReason) => {
    const after = events.reduce<Order>(evolve, order);
    expect(orderProgress(after)).toEqual({ orderId: order.orderId, status, step, cancelReason });
    expect(toProgress(viewOf(after), undefined)).toEqual(orderProgress(after));
  });
});

describe("returns and refunds as their customer reads them", () => {
  const after = [confirmed, returnAccepted, refunded, refundAccepted].reduce<Order>(evolve, order);
  const message = toOrderMessage(viewOf(after), undefined);

  test("stand in the order, returns and refunds apart, with where each stands", () => {
    expect(message.returns).toMatchObject([
      {
        returnId: returnAccepted.refund.refundId,
        orderId: order.orderId,
        status: RefundStatus.COMPLETED,
        lines: returnAccepted.refund.lines,
        amount: returnAccepted.refund.amount,
        unsellable: true,
        note: "Deckel zerbrochen",
      },
    ]);
    expect(message.refunds).toMatchObject([
      { refundId: refundAccepted.refund.refundId, status: RefundStatus.PENDING, refuseReason: "" },
    ]);
  });

  test("count towards their lines and the order's refunded amount once they are done, and not before", () => {
    expect(message.refunded).toMatchObject({ currencyCode: "EUR", amountMinor: 1_999n });
    expect(message.lines.map((line) => [line.returnedQuantity, line.refundedQuantity])).toEqual([
      [1, 1],
      [0, 0],
    ]);
    const later = evolve(after, { type: "refunded", refundId: refundAccepted.refund.refundId });
    const end = toOrderMessage(viewOf(later), undefined);
    expect(end.refunded?.amountMinor).toBe(3_998n);
    expect(end.lines.map((line) => [line.returnedQuantity, line.refundedQuantity])[0]).toEqual([1, 2]);
  });

  test("tell why they were refused, and then count for nothing", () => {
    const end = toOrderMessage(viewOf(evolve(after, refundRefused)), undefined);
    expect(end.refunds[0]).toMatchObject({
      status: RefundStatus.REFUSED,
      refuseReason: "REFUND_EXCEEDS_CAPTURE",
    });
    expect(end.refunded?.amountMinor).toBe(1_999n);
  });
});

test("an order that was cancelled after it was paid says that all of it was paid back", () => {
  const given = [confirmed, { type: "cancellationRequested" }, cancelled] as const;
  const after = given.reduce<Order>(evolve, order);
  expect(toOrderMessage(viewOf(after), undefined).refunded?.amountMinor).toBe(placed.total.amountMinor);
  const bytes = toEventPayload(after, cancelled);
  expect(fromBinary(OrderCancelledSchema, bytes).refunded?.amountMinor).toBe(placed.total.amountMinor);
  expect(fromBinary(OrderCancelledSchema, toEventPayload(order, cancelled)).refunded).toBeUndefined();
});

test("an unset service level is standard, and an unset status filters nothing", () => {
  expect(fromWireLevel(ServiceLevel.UNSPECIFIED)).toBe("standard");
  expect(fromWireStatus(OrderStatus.UNSPECIFIED)).toBeUndefined();
  expect(fromWireStatus(OrderStatus.CANCELLED)).toBe("cancelled");
});
