import { type DescMessage, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  OrderRefundedSchema,
  RefundAcceptedSchema,
  RefundRefusedSchema,
  ReturnAcceptedSchema,
} from "#gen/souk/orders/v1/events_pb.ts";
import { type RefundSchema, RefundStatus, type ReturnSchema } from "#gen/souk/orders/v1/orders_pb.ts";
import {
  type LaterEvent,
  type Money,
  type Order,
  type OrderEvent,
  type OrderLine,
  type OrderRefunded,
  type Refund,
  type RefundAccepted,
  type RefundRefused,
  refundedOf,
} from "./order.ts";
import { piecesIn } from "./refund.ts";

/** Money that this service wrote itself is never absent. */
export const fromMoney = (money: Money | undefined): Money => ({
  currencyCode: money?.currencyCode ?? "",
  amountMinor: money?.amountMinor ?? 0n,
});

const wireStatuses: Readonly<Record<Refund["status"], RefundStatus>> = {
  pending: RefundStatus.PENDING,
  completed: RefundStatus.COMPLETED,
  refused: RefundStatus.REFUSED,
};

/** A return as callers see it. */
export const toReturnMessage = (
  { orderId }: Order,
  refund: Refund,
): MessageInitShape<typeof ReturnSchema> => ({
  returnId: refund.refundId,
  orderId,
  status: wireStatuses[refund.status],
  lines: [...refund.lines],
  amount: refund.amount,
  unsellable: refund.unsellable,
  note: refund.note,
  refuseReason: refund.refuseReason,
});

/** A refund as callers see it. */
export const toRefundMessage = (
  { orderId }: Order,
  refund: Refund,
): MessageInitShape<typeof RefundSchema> => ({
  refundId: refund.refundId,
  orderId,
  status: wireStatuses[refund.status],
  lines: [...refund.lines],
  amount: refund.amount,
  note: refund.note,
  refuseReason: refund.refuseReason,
});

/** What of a line has been taken back and paid back by now. */
export function quantitiesOf({ refunds }: Order, { productId }: OrderLine) {
  const done = refunds.filter(({ status }) => status === "completed");
  const returns = done.filter(({ kind }) => kind === "return");
  return {
    returnedQuantity: piecesIn(returns, productId),
    refundedQuantity: piecesIn(done, productId),
  };
}

/** An event of a return or refund as the message that announces it. */
export function toRefundAnnouncement(
  order: Order,
  event: RefundAccepted | OrderRefunded | RefundRefused,
): [DescMessage, MessageInitShape<DescMessage>] {
  const { orderId, customerId } = order;
  if (event.type === "refundRefused") return [RefundRefusedSchema, { ...event, orderId, customerId }];
  if (event.type === "refunded") {
    const { refundId } = event;
    const amount = order.refunds.find((refund) => refund.refundId === refundId)?.amount;
    return [OrderRefundedSchema, { orderId, customerId, refundId, amount, refunded: refundedOf(order) }];
  }
  const { refundId, lines, amount, unsellable, note } = event.refund;
  const facts = { orderId, customerId, lines: [...lines], amount, note };
  return event.type === "returnAccepted"
    ? [ReturnAcceptedSchema, { ...facts, returnId: refundId, unsellable }]
    : [RefundAcceptedSchema, { ...facts, refundId }];
}

/** @throws Error for a type that this version does not know. */
export function fromRefundPayload(type: string, payload: Uint8Array): OrderEvent | LaterEvent {
  switch (type) {
    case "returnAccepted": {
      const { returnId: refundId, ...message } = fromBinary(ReturnAcceptedSchema, payload);
      return {
        type,
        refund: { ...accepted(message), refundId, kind: "return", unsellable: message.unsellable },
      };
    }
    case "refundAccepted": {
      const { refundId, ...message } = fromBinary(RefundAcceptedSchema, payload);
      return { type, refund: { ...accepted(message), refundId, kind: "refund", unsellable: false } };
    }
    case "refunded":
      return { type, refundId: fromBinary(OrderRefundedSchema, payload).refundId };
    case "refundRefused": {
      const { refundId, refuseReason } = fromBinary(RefundRefusedSchema, payload);
      return { type, refundId, refuseReason };
    }
    default:
      return { type: "later" };
  }
}

function accepted(message: {
  readonly lines: readonly { productId: string; sku: string; quantity: number }[];
  readonly amount?: Money | undefined;
  readonly note: string;
}) {
  const { lines, amount, note } = message;
  return {
    status: "pending",
    lines: lines.map(({ productId, sku, quantity }) => ({ productId, sku, quantity })),
    amount: fromMoney(amount),
    note,
    refuseReason: "",
  } as const;
}
