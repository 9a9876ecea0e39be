import { readdirSync, readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { CheckoutStep, OrderSchema, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Saga } from "#kit/saga/definition.ts";
import {
  fromEventPayload,
  fromWireLevel,
  fromWireStatus,
  sagaProgress,
  toDocument,
  toEventPayload,
  toOrderMessage,
  toPlacedMessage,
  toProgress,
} from "./messages.ts";
import { evolve, type Order, type OrderEvent, type OrderPlaced } from "./order.ts";
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
  );
  /** Generated messages are not plain objects; what they hold is. */
  const plain = (event: OrderEvent) =>
    JSON.parse(
      JSON.stringify(event, (key, value) =>
        key === "$typeName" || key === "$unknown"
          ? undefined
          : typeof value === "bigint"
            ? `${value}n`
            : value,
      ),
    );

  test("give the event back, whatever it says", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const payload = toEventPayload(order, event);
        expect(plain(fromEventPayload(event.type, payload))).toEqual(plain(event));
      }),
    );
  });

  test("of a type nobody knows are refused, not guessed", () => {
    expect(() => fromEventPayload("eaten", toEventPayload(order, placed))).toThrow(
      "unknown order event eaten",
    );
  });

  // Events are kept for ever. When an event's message changes, its old bytes stay here, and bytes of the new form join them.
  const golden: Readonly<Record<string, OrderEvent>> = {
    "placed-1.binpb": placed,
    "confirmed-1.binpb": confirmed,
    "cancelled-1.binpb": cancelled,
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
    expect(sagaProgress(parked)).toMatchObject({ status: OrderStatus.PENDING, cancelReason: "" });
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
    ["running", undefined, "reserve", OrderStatus.PENDING, CheckoutStep.STOCK_RESERVED, ""],
    ["compensating", failure, "reserve", OrderStatus.PENDING, CheckoutStep.UNDOING, ""],
    ["compensated", failure, "reserve", OrderStatus.CANCELLED, CheckoutStep.UNDOING, "CARD_DECLINED"],
    ["completed", undefined, "capture", OrderStatus.CONFIRMED, CheckoutStep.PAYMENT_CAPTURED, ""],
  ] as const)("while it is %s", (sagaStatus, cause, lastDone, status, step, cancelReason) => {
    const saga = sagaOf({ status: sagaStatus, failure: cause, lastDone });
    expect(sagaProgress(saga)).toEqual({ orderId: order.orderId, status, step, cancelReason });
  });
});

test("an unset service level is standard, and an unset status filters nothing", () => {
  expect(fromWireLevel(ServiceLevel.UNSPECIFIED)).toBe("standard");
  expect(fromWireStatus(OrderStatus.UNSPECIFIED)).toBeUndefined();
  expect(fromWireStatus(OrderStatus.CANCELLED)).toBe("cancelled");
});
