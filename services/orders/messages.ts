import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Address as AddressMessage,
  ServiceLevel as WireLevel,
} from "#gen/souk/commerce/v1/commerce_pb.ts";
import {
  CancellationRefusedSchema,
  CancellationRequestedSchema,
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
} from "#gen/souk/orders/v1/events_pb.ts";
import { CheckoutStep, OrderSchema, OrderStatus as WireStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Saga } from "#kit/saga/definition.ts";
import {
  type Address,
  type LaterEvent,
  type Order,
  type OrderEvent,
  type OrderPlaced,
  type OrderStatus,
  type Refund,
  refundedOf,
  type ServiceLevel,
} from "./order.ts";
import type { OrderView } from "./order-view.ts";
import {
  fromMoney,
  fromRefundPayload,
  quantitiesOf,
  toRefundAnnouncement,
  toRefundMessage,
  toReturnMessage,
} from "./refund-messages.ts";

const wireStatuses: Readonly<Record<OrderStatus, WireStatus>> = {
  pending: WireStatus.PENDING,
  confirmed: WireStatus.CONFIRMED,
  cancelled: WireStatus.CANCELLED,
  cancelling: WireStatus.CANCELLING,
  refunding: WireStatus.REFUNDING,
  refunded: WireStatus.REFUNDED,
};

/** Undefined for the unset status of a filter. */
export const fromWireStatus = (status: WireStatus): OrderStatus | undefined =>
  (Object.keys(wireStatuses) as OrderStatus[]).find((name) => wireStatuses[name] === status);

/** Unset means standard. */
export const fromWireLevel = (level: WireLevel): ServiceLevel =>
  level === WireLevel.EXPRESS ? "express" : "standard";

export const toWireLevel = (level: ServiceLevel): WireLevel =>
  level === "express" ? WireLevel.EXPRESS : WireLevel.STANDARD;

/** The contract requires the address, so it is there. */
export function fromWireAddress(address: AddressMessage | undefined): Address {
  const { name = "", line1 = "", line2 = "", city = "", postalCode = "", countryCode = "" } = address ?? {};
  return { name, line1, line2, city, postalCode, countryCode };
}

/** Bytes of an event as `order_events` keeps it: the message it is announced as. */
export function toEventPayload(order: Order, event: OrderEvent): Uint8Array {
  const [schema, message] = toAnnouncement(order, event);
  return toBinary(schema, create(schema, message));
}

/** Where an order's newest event stands in its life: each version is announced by one event. */
export const placeOf = ({ version }: Order) => ({ aggregateVersion: version, previousVersion: version - 1n });

/** An event as the message that announces it. */
export function toAnnouncement(
  order: Order,
  event: OrderEvent,
): [DescMessage, MessageInitShape<DescMessage>] {
  const { orderId, customerId } = order;
  switch (event.type) {
    case "placed":
      return [OrderPlacedSchema, toPlaced(event)];
    case "confirmed":
      return [OrderConfirmedSchema, { ...event, orderId, customerId, total: order.total }];
    case "cancelled":
      return [
        OrderCancelledSchema,
        { ...event, orderId, customerId, ...(order.paymentId && { refunded: refundedOf(order) }) },
      ];
    case "cancellationRequested":
      return [CancellationRequestedSchema, { orderId, customerId }];
    case "cancellationRefused":
      return [CancellationRefusedSchema, { ...event, orderId, customerId }];
    default:
      return toRefundAnnouncement(order, event);
  }
}

/** Reads an event as `order_events` keeps it; one of a type that this release does not know counts as a later release's. */
export function fromEventPayload(type: string, payload: Uint8Array): OrderEvent | LaterEvent {
  switch (type) {
    case "placed":
      return fromPlaced(payload);
    case "confirmed": {
      const { reservationId, paymentId, shipmentId } = fromBinary(OrderConfirmedSchema, payload);
      return { type, reservationId, paymentId, shipmentId };
    }
    case "cancelled":
      return { type, cancelReason: fromBinary(OrderCancelledSchema, payload).cancelReason };
    case "cancellationRequested":
      return { type };
    case "cancellationRefused":
      return { type, refuseReason: fromBinary(CancellationRefusedSchema, payload).refuseReason };
    default:
      return fromRefundPayload(type, payload);
  }
}

/** The order's message as the view keeps it; status, step and times stand in columns or elsewhere. */
export function toDocument(order: Order): Uint8Array {
  return toBinary(OrderSchema, toOrder(order));
}

/** An order as its message, without what only the database knows. */
export function toOrder(order: Order) {
  const { lines, serviceLevel, status, reservationId: _, refunds, ...facts } = order;
  const ofKind = (kind: Refund["kind"]) => refunds.filter((refund) => refund.kind === kind);
  return create(OrderSchema, {
    ...facts,
    lines:
      refunds.length === 0 ? [...lines] : lines.map((line) => ({ ...line, ...quantitiesOf(order, line) })),
    status: wireStatuses[status],
    serviceLevel: toWireLevel(serviceLevel),
    refunded: refundedOf(order),
    returns: ofKind("return").map((refund) => toReturnMessage(order, refund)),
    refunds: ofKind("refund").map((refund) => toRefundMessage(order, refund)),
  });
}

/** An order that was just placed. */
export function toPlacedMessage(order: Order, placedAt: Date) {
  const at = timestampFromDate(placedAt);
  return create(OrderSchema, { ...toOrder(order), step: CheckoutStep.ACCEPTED, placedAt: at, updatedAt: at });
}

/** A view as the order's message. While checkout is under way, the saga tells how far it has come. */
export function toOrderMessage(view: OrderView, saga: Saga<unknown> | undefined) {
  const order = fromBinary(OrderSchema, view.document);
  order.step = finalSteps[view.status] ?? toStep(saga);
  if (view.status === "pending") {
    order.paymentId = resultOf(saga, "authorize", "paymentId");
    order.shipmentId = resultOf(saga, "book", "shipmentId");
  }
  order.placedAt = timestampFromDate(view.placedAt);
  order.updatedAt = timestampFromDate(view.updatedAt);
  return order;
}

/** How far checkout has come when it has ended, whoever asks. */
const finalSteps: Partial<Record<OrderStatus, CheckoutStep>> = {
  confirmed: CheckoutStep.PAYMENT_CAPTURED,
  refunding: CheckoutStep.PAYMENT_CAPTURED,
  refunded: CheckoutStep.PAYMENT_CAPTURED,
  cancelling: CheckoutStep.UNDOING,
  cancelled: CheckoutStep.UNDOING,
};

/** What a watcher is told. */
export interface OrderProgress {
  readonly orderId: string;
  readonly status: WireStatus;
  readonly step: CheckoutStep;
  readonly cancelReason: string;
}

export function toProgress(view: OrderView, saga: Saga<unknown> | undefined): OrderProgress {
  const { orderId, status, step, cancelReason } = toOrderMessage(view, saga);
  return { orderId, status, step, cancelReason };
}

/** What an order that has changed means to a watcher. */
export const orderProgress = ({ orderId, status, cancelReason }: Order): OrderProgress => ({
  orderId,
  status: wireStatuses[status],
  step: finalSteps[status] ?? CheckoutStep.ACCEPTED,
  cancelReason,
});

/** What a transition of checkout means to a watcher while it is under way; its end is told by the order. */
export const checkoutProgress = (saga: Saga<unknown>): OrderProgress => ({
  orderId: saga.subjectId,
  status: WireStatus.PENDING,
  step: toStep(saga),
  cancelReason: "",
});

const steps: Readonly<Record<string, CheckoutStep>> = {
  reserve: CheckoutStep.STOCK_RESERVED,
  authorize: CheckoutStep.PAYMENT_AUTHORIZED,
  book: CheckoutStep.SHIPMENT_BOOKED,
  capture: CheckoutStep.PAYMENT_CAPTURED,
};

function toStep(saga: Saga<unknown> | undefined): CheckoutStep {
  if (saga?.failure) return CheckoutStep.UNDOING;
  return steps[saga?.lastDone ?? ""] ?? CheckoutStep.ACCEPTED;
}

/** What a step of checkout answered and was not undone since; empty before. */
function resultOf(saga: Saga<unknown> | undefined, step: string, name: string): string {
  return saga?.failure ? "" : String(saga?.results[step]?.[name] ?? "");
}

function toPlaced({
  type: _,
  lines,
  serviceLevel,
  ...facts
}: OrderPlaced): MessageInitShape<typeof OrderPlacedSchema> {
  return { ...facts, lines: [...lines], serviceLevel: toWireLevel(serviceLevel) };
}

/** Reads the event with which an order began. */
export function fromPlaced(payload: Uint8Array): OrderPlaced {
  const message = fromBinary(OrderPlacedSchema, payload);
  const { orderId, customerId, subtotal, shippingFee, total, shippingAddress } = message;
  return {
    type: "placed",
    orderId,
    customerId,
    lines: message.lines.map(({ productId, sku, name, quantity, unitPrice }) => {
      return { productId, sku, name, quantity, unitPrice: fromMoney(unitPrice) };
    }),
    subtotal: fromMoney(subtotal),
    shippingFee: fromMoney(shippingFee),
    total: fromMoney(total),
    shippingAddress: fromWireAddress(shippingAddress),
    serviceLevel: fromWireLevel(message.serviceLevel),
  };
}
