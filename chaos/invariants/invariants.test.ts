import { expect, test } from "vitest";
import type { HistoryEntry } from "../workload/history.ts";
import type { Evidence, OrderEventRow, ProcessorLine, StreamEvent } from "./evidence.ts";
import { judge } from "./invariants.ts";

const said = (entry: Partial<HistoryEntry>): HistoryEntry => ({
  atMs: 0,
  phase: "ok",
  action: "place",
  op: 1,
  customer: "user_1",
  key: "key-1",
  orderId: "order_1",
  answer: "{order_1}",
  ...entry,
});
const money = (kind: string, entry: Partial<ProcessorLine> = {}): ProcessorLine => ({
  ...{ kind, intent: "pi_1", orderId: "order_1", amountMinor: 100n, currencyCode: "EUR", ...entry },
});
const event = (eventId: string, name: string, aggregateId: string, version: bigint): StreamEvent => ({
  ...{ eventId, type: `souk.${name}`, aggregateId, version },
});
const events = [
  event("e1", "orders.v1.OrderPlaced", "order_1", 1n),
  event("e2", "orders.v1.OrderConfirmed", "order_1", 2n),
  event("e3", "orders.v1.OrderPlaced", "order_2", 1n),
  event("e4", "orders.v1.OrderCancelled", "order_2", 2n),
  event("e5", "inventory.v1.StockCommitted", "reservation_1", 2n),
  event("e6", "payments.v1.PaymentCaptured", "payment_1", 2n),
];
const placed = { currencyCode: "EUR", totalMinor: 100n, lines: [{ sku: "A", quantity: 2 }] };
const second = { op: 2, key: "key-2", orderId: "order_2", answer: "{order_2}" };

/** One order confirmed and one cancelled, and everything as it has to be. */
const clean: Evidence = {
  history: [
    said({ phase: "invoke" }),
    said({ phase: "unknown", status: 0 }),
    said({}),
    said({ ...second }),
    said({ action: "place", altered: true, phase: "fail", reason: "IDEMPOTENCY_KEY_REUSED" }),
    said({ action: "read", shown: "ORDER_STATUS_PENDING" }),
    said({ action: "read", shown: "ORDER_STATUS_CONFIRMED" }),
    said({ op: 3, key: "key-3", phase: "fail", reason: "CURRENCY_MISMATCH" }),
  ],
  orders: [
    { orderId: "order_1", customerId: "user_1", status: "confirmed", version: 2n },
    { orderId: "order_2", customerId: "user_1", status: "cancelled", version: 2n },
  ],
  orderEvents: [
    { orderId: "order_1", version: 1n, type: "placed", placed },
    { orderId: "order_1", version: 2n, type: "confirmed" },
    { orderId: "order_2", version: 1n, type: "placed", placed },
    { orderId: "order_2", version: 2n, type: "cancelled" },
  ],
  processor: [
    money("authorized"),
    money("captured"),
    money("authorized", { intent: "pi_2", orderId: "order_2" }),
    money("canceled", { intent: "pi_2", orderId: "order_2" }),
    money("declined", { intent: "pi_3", orderId: "order_2" }),
  ],
  carrier: [
    { kind: "booked", shipment: "shp_1", orderId: "order_1" },
    { kind: "booked", shipment: "shp_2", orderId: "order_2" },
    { kind: "canceled", shipment: "shp_2", orderId: "order_2" },
  ],
  payments: [
    {
      ...{ paymentId: "payment_1", orderId: "order_1", status: "CAPTURED", reference: "pi_1" },
      ...{ amountMinor: 100n, currencyCode: "EUR", refundedMinor: 0n },
    },
    {
      ...{ paymentId: "payment_2", orderId: "order_2", status: "VOIDED", reference: "pi_2" },
      ...{ amountMinor: 100n, currencyCode: "EUR", refundedMinor: 0n },
    },
  ],
  shipments: [
    { orderId: "order_1", status: "BOOKED", reference: "shp_1" },
    { orderId: "order_2", status: "CANCELLED", reference: "shp_2" },
  ],
  stock: [{ sku: "A", onHand: 8, reserved: 0 }],
  movements: [{ sku: "A", quantity: -2, reason: "sold", orderId: "order_1" }],
  stockSamples: [],
  pieces: new Map([["A", 10]]),
  outbox: events.map(({ eventId, type }) => ({ service: "any", eventId, type })),
  stream: [...events, ...events.slice(0, 2)],
  sightings: events.map((seen) => ({ ...seen, deliveries: 1 })),
  inbox: [{ service: "inventory", consumer: "inventory_souk_orders_v1", eventId: "e2" }],
  inboxOrders: true,
  sagas: [
    {
      ...{ service: "orders", sagaId: "saga_1", subjectId: "order_1" },
      definition: "checkout",
      status: "completed",
    },
  ],
  deadLetters: [],
  restless: [],
  ailments: [],
  earlierOrders: new Set(),
  earlierEvents: new Set(),
};

const brokenBy = (evidence: Evidence) =>
  judge(evidence)
    .filter(({ violations }) => violations.length > 0)
    .map(({ invariant }) => invariant.name);

test("a run in which all went well breaks nothing", () => {
  expect(brokenBy(clean)).toEqual([]);
});

const [order1, order2] = clean.orders as [Evidence["orders"][number], Evidence["orders"][number]];
const [payment1] = clean.payments as [Evidence["payments"][number]];
const [sighting] = clean.sightings as [NonNullable<Evidence["sightings"]>[number]];
const without = <Row>(rows: readonly Row[], index: number) => rows.filter((_, at) => at !== index);

const violations: readonly (readonly [what: string, invariant: string, change: Partial<Evidence>])[] = [
  [
    "an accepted order is not there",
    "accepted-orders-end",
    { orders: [order1], orderEvents: clean.orderEvents.slice(0, 2) },
  ],
  [
    "an accepted order never ended",
    "accepted-orders-end",
    { orders: [order1, { ...order2, status: "pending" }] },
  ],
  ["an order exists that nobody was told of", "accepted-orders-end", { history: without(clean.history, 3) }],
  [
    "two answers of a key differ",
    "one-key-one-order",
    { history: [...clean.history, said({ answer: "{order_9}" })] },
  ],
  [
    "a key was accepted and then refused",
    "one-key-one-order",
    { history: [...clean.history, said({ phase: "fail" })] },
  ],
  [
    "a key was accepted for another request",
    "one-key-one-order",
    { history: [...clean.history, said({ altered: true, answer: "{order_9}" })] },
  ],
  [
    "a confirmed order was captured twice",
    "money-moves-once",
    { processor: [...clean.processor, money("captured")] },
  ],
  ["a confirmed order was not captured", "money-moves-once", { processor: without(clean.processor, 1) }],
  [
    "a confirmed order was captured for less",
    "money-moves-once",
    { processor: clean.processor.with(1, money("captured", { amountMinor: 99n })) },
  ],
  [
    "an order was charged in another currency",
    "money-moves-once",
    { processor: clean.processor.with(1, money("captured", { currencyCode: "USD" })) },
  ],
  [
    "a cancelled order's authorization is held",
    "money-moves-once",
    { processor: without(clean.processor, 3) },
  ],
  [
    "a cancelled order was captured",
    "money-moves-once",
    { processor: clean.processor.with(3, money("captured", { intent: "pi_2", orderId: "order_2" })) },
  ],
  [
    "a card was asked again after its decline",
    "money-moves-once",
    { processor: [...clean.processor, money("declined", { orderId: "order_2" })] },
  ],
  [
    "money of no order is held",
    "money-moves-once",
    { processor: [...clean.processor, money("authorized", { intent: "pi_9", orderId: "order_9" })] },
  ],
  [
    "more was paid back than captured",
    "money-moves-once",
    { processor: [...clean.processor, money("refunded", { amountMinor: 200n })] },
  ],
  [
    "the books miss a capture",
    "payments-agree-with-the-processor",
    { payments: [{ ...payment1, status: "AUTHORIZED" }] },
  ],
  ["the books know nothing of a charge", "payments-agree-with-the-processor", { payments: [] }],
  [
    "a refund is not in the books",
    "payments-agree-with-the-processor",
    { processor: [...clean.processor, money("refunded", { amountMinor: 1n })] },
  ],
  ["a piece vanished", "stock-adds-up", { stock: [{ sku: "A", onHand: 7, reserved: 0 }] }],
  ["pieces stay reserved", "stock-adds-up", { stock: [{ sku: "A", onHand: 8, reserved: 1 }] }],
  [
    "more was reserved than there was",
    "stock-adds-up",
    { stockSamples: [{ sku: "A", onHand: 1, reserved: 2, atMs: 5 }] },
  ],
  ["an order's pieces left twice", "stock-adds-up", { movements: [...clean.movements, ...clean.movements] }],
  [
    "a confirmed order has two parcels",
    "one-shipment-per-order",
    { carrier: [...clean.carrier, { kind: "booked", shipment: "shp_9", orderId: "order_1" }] },
  ],
  ["a cancelled order's parcel travels", "one-shipment-per-order", { carrier: clean.carrier.slice(0, 2) }],
  ["a confirmed order has no parcel", "one-shipment-per-order", { carrier: clean.carrier.slice(1) }],
  [
    "an event of this run was published and not committed",
    "outbox-in-stream",
    { outbox: clean.outbox.slice(0, 5), earlierEvents: new Set(["e1"]) },
  ],
  ["a committed event was not published", "outbox-in-stream", { stream: events.slice(0, 5) }],
  ["an event was published and not committed", "outbox-in-stream", { outbox: clean.outbox.slice(0, 5) }],
  ["an event was applied twice", "effects-once", { sightings: [...(clean.sightings ?? []), sighting] }],
  ["an event was not applied", "effects-once", { sightings: clean.sightings?.slice(1) }],
  ["a confirmation was forgotten by inventory", "effects-once", { inbox: [] }],
  [
    "a reservation became a sale twice",
    "effects-once",
    { stream: [...events, event("e7", "inventory.v1.StockCommitted", "reservation_1", 3n)] },
  ],
  [
    "an order's version was not announced",
    "versions-without-gap",
    { stream: events.filter(({ eventId }) => eventId !== "e1") },
  ],
  [
    "two events have one version",
    "versions-without-gap",
    { stream: [...events, event("e7", "payments.v1.PaymentVoided", "payment_1", 2n)] },
  ],
  ["versions were applied backwards", "applied-in-order", { sightings: clean.sightings?.toReversed() }],
  [
    "a saga is under way",
    "sagas-end",
    { sagas: clean.sagas.map((saga) => ({ ...saga, status: "running" })) },
  ],
  ["something still moves", "all-comes-to-rest", { restless: ["3 events wait"] }],
  [
    "an event was given up",
    "no-dead-letters",
    { deadLetters: [{ service: "inventory", eventId: "e2", reason: "too many deliveries" }] },
  ],
  [
    "an event was offered at once, again and again",
    "retries-are-paced",
    { sightings: [{ ...sighting, deliveries: 500 }] },
  ],
  [
    "a cancelled order was confirmed",
    "legal-transitions",
    {
      orderEvents: [...clean.orderEvents, { orderId: "order_2", version: 3n, type: "confirmed" }],
      orders: [order1, { ...order2, status: "confirmed", version: 3n }],
    },
  ],
  ["a view lags behind its events", "legal-transitions", { orders: [order1, { ...order2, version: 1n }] }],
  [
    "a customer saw an end undone",
    "reads-are-monotonic",
    { history: [...clean.history, said({ action: "read", shown: "ORDER_STATUS_PENDING" })] },
  ],
  ["a process ended by itself", "processes-stay-well", { ailments: ["orders-1 ended by itself"] }],
];

test.each(violations)("%s: %s is broken", (_, invariant, change) => {
  expect(brokenBy({ ...clean, ...change })).toContain(invariant);
});

test("events that were there before the run need no row of an outbox", () => {
  expect(brokenBy({ ...clean, outbox: clean.outbox.slice(1), earlierEvents: new Set(["e1"]) })).toEqual([]);
});

const claim = { claimId: "refund_1", amountMinor: 30n, taken: [], unsellable: false };
const claimed: OrderEventRow[] = [
  { orderId: "order_1", version: 3n, type: "refundAccepted", claim },
  { orderId: "order_1", version: 4n, type: "refunded", claimId: "refund_1" },
];
const asked = said({ action: "refund", key: "key-1-refund" });
/** The first order after a refund of a part of it. */
const repaid: Evidence = {
  ...clean,
  history: [...clean.history, asked],
  orders: [{ ...order1, version: 4n }, order2],
  orderEvents: [...clean.orderEvents, ...claimed],
  processor: [...clean.processor, money("refunded", { amountMinor: 30n })],
  payments: clean.payments.with(0, { ...payment1, refundedMinor: 30n }),
};

test("a refund is paid back once, as its order says, and asked for by somebody", () => {
  expect(brokenBy(repaid)).toEqual([]);
  expect(brokenBy({ ...repaid, processor: clean.processor })).toContain("money-moves-once");
  const twice = [...repaid.processor, money("refunded", { amountMinor: 30n })];
  expect(brokenBy({ ...repaid, processor: twice })).toContain("money-moves-once");
  expect(brokenBy({ ...repaid, history: clean.history })).toEqual(["one-key-one-order"]);
  const lost = [...repaid.history, { ...asked, key: "key-2-refund" }];
  expect(brokenBy({ ...repaid, history: lost })).toEqual(["one-key-one-order"]);
  const maybe = [...repaid.history, { ...asked, key: "key-2-refund", phase: "unknown" as const }];
  expect(brokenBy({ ...repaid, history: maybe })).toEqual([]);
});

test("a refund that was accepted ends", () => {
  const [accepted] = claimed as [OrderEventRow];
  const open = {
    ...repaid,
    orderEvents: [...clean.orderEvents, accepted],
    orders: [{ ...order1, version: 3n }, order2],
  };
  expect(brokenBy(open)).toContain("accepted-orders-end");
});

test("what is returned is on the shelf again, unless it cannot be sold", () => {
  const back = (unsellable: boolean): OrderEventRow[] => [
    {
      ...{ orderId: "order_1", version: 3n, type: "returnAccepted" },
      claim: { ...claim, taken: [{ sku: "A", quantity: 1 }], unsellable },
    },
    ...claimed.slice(1),
  ];
  const after = (unsellable: boolean, onHand: number): Evidence => ({
    ...repaid,
    orderEvents: [...clean.orderEvents, ...back(unsellable)],
    stock: [{ sku: "A", onHand, reserved: 0 }],
  });
  expect(brokenBy(after(false, 9))).toEqual([]);
  expect(brokenBy(after(false, 8))).toEqual(["stock-adds-up"]);
  expect(brokenBy(after(true, 8))).toEqual([]);
  expect(brokenBy(after(true, 9))).toEqual(["stock-adds-up"]);
});

/** The first order, cancelled when it was paid already. */
const calledOff: Evidence = {
  ...clean,
  history: [...clean.history, said({ action: "cancel", key: "key-1-cancel" })],
  orders: [{ ...order1, status: "cancelled", version: 4n }, order2],
  orderEvents: [
    ...clean.orderEvents,
    { orderId: "order_1", version: 3n, type: "cancellationRequested" },
    { orderId: "order_1", version: 4n, type: "cancelled" },
  ],
  processor: [...clean.processor, money("refunded")],
  payments: clean.payments.with(0, { ...payment1, status: "REFUNDED", refundedMinor: 100n }),
  carrier: [...clean.carrier, { kind: "canceled", shipment: "shp_1", orderId: "order_1" }],
  shipments: clean.shipments.map((shipment) => ({ ...shipment, status: "CANCELLED" })),
  stock: [{ sku: "A", onHand: 10, reserved: 0 }],
};

test("a confirmed order that is cancelled keeps neither money nor pieces nor a parcel", () => {
  expect(brokenBy(calledOff)).toEqual([]);
  expect(brokenBy({ ...calledOff, processor: clean.processor })).toContain("money-moves-once");
  expect(brokenBy({ ...calledOff, carrier: clean.carrier })).toEqual(["one-shipment-per-order"]);
  expect(brokenBy({ ...calledOff, stock: clean.stock })).toEqual(["stock-adds-up"]);
});

test("a cancellation that was accepted is carried out or refused", () => {
  const { history } = calledOff;
  expect(brokenBy({ ...clean, history })).toEqual(["accepted-orders-end"]);
  const turned = ["cancellationRequested", "cancellationRefused"].map((type, index) => ({
    ...{ orderId: "order_1", version: BigInt(index + 3), type },
  }));
  const orders = [{ ...order1, version: 4n }, order2];
  const orderEvents = [...clean.orderEvents, ...turned];
  expect(brokenBy({ ...clean, history, orders, orderEvents })).toEqual([]);
});

test("a confirmed order is cancelled only where somebody asked for it", () => {
  const orderEvents = [...clean.orderEvents, { orderId: "order_1", version: 3n, type: "cancelled" }];
  const orders = [{ ...order1, status: "cancelled", version: 3n }, order2];
  expect(brokenBy({ ...clean, orders, orderEvents })).toContain("legal-transitions");
});

test("every invariant that can be judged is broken by some of these", () => {
  const judged = judge(clean).filter(({ notApplicable }) => notApplicable === undefined);
  const broken = new Set(violations.map(([, invariant]) => invariant));
  expect(judged.map(({ invariant }) => invariant.name).filter((name) => !broken.has(name))).toEqual([]);
});

test("where nothing can be known, nothing is said to hold", () => {
  const blind = judge({ ...clean, sightings: undefined, deadLetters: undefined });
  const unjudged = blind.filter(({ notApplicable }) => notApplicable !== undefined);
  expect(unjudged.map(({ invariant }) => invariant.name)).toEqual([
    ...["effects-once", "applied-in-order", "views-can-be-rebuilt", "audit-chain-verifies"],
    ...["no-dead-letters", "retries-are-paced"],
  ]);
});
