import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type {
  CancellationRefused,
  CancellationRequested,
  Order,
  OrderCancelled,
  RefundLine,
} from "./order.ts";
import { alreadyEnded } from "./order-refusals.ts";
import { takenBackOf } from "./refund.ts";

/** The reason of an order that ended because somebody wanted it to. */
export const customerCancelled = "CUSTOMER_CANCELLED";

/**
 * Asks to cancel. Undefined where that was asked before, or has happened: asking again changes nothing.
 * @throws ServiceError ORDER_ALREADY_ENDED for an order that was paid back, REFUND_UNDER_WAY.
 */
export function requestCancellation(order: Order): CancellationRequested | undefined {
  if (order.cancelling || order.outcome === "cancelled") return undefined;
  if (order.status === "refunded") throw alreadyEnded(order);
  if (order.status === "refunding") throw refundUnderWay(order);
  return { type: "cancellationRequested" };
}

/** What a cancellation after checkout has come to: shipment, money and stock are given back. */
export function finishCancellation(order: Order): OrderCancelled {
  if (!isBeingGivenBack(order)) throw alreadyEnded(order);
  return { type: "cancelled", cancelReason: customerCancelled };
}

/** The cancellation came too late; the order stays as it was. */
export function refuseCancellation(order: Order, refuseReason: string): CancellationRefused {
  if (!isBeingGivenBack(order)) throw alreadyEnded(order);
  return { type: "cancellationRefused", refuseReason };
}

/** What a confirmed order still holds of the stock it bought: all but what was returned. */
export function keptLines(order: Order): RefundLine[] {
  return order.lines
    .map(({ productId, sku, quantity }) => {
      return { productId, sku, quantity: quantity - takenBackOf(order, productId) };
    })
    .filter(({ quantity }) => quantity > 0);
}

const isBeingGivenBack = ({ outcome, cancelling }: Order) => outcome === "confirmed" && cancelling;

/** The parcel has left. */
export const alreadyDispatched = (orderId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.ORDER_ALREADY_DISPATCHED,
    "The parcel has left; its pieces can be returned.",
    { metadata: { order_id: orderId } },
  );

const refundUnderWay = ({ orderId }: Order) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.REFUND_UNDER_WAY,
    "A return or refund of the order is under way.",
    { metadata: { order_id: orderId } },
  );
