import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type {
  Money,
  Order,
  OrderLine,
  OrderRefunded,
  Refund,
  RefundAccepted,
  RefundLine,
  RefundRefused,
} from "./order.ts";

/** Returns and refunds of one order at most. */
const maxRefunds = 100;

/** How many of which product. */
export interface AskedLine {
  readonly productId: string;
  readonly quantity: number;
}

/** What a return asks for. */
export interface ReturnRequest {
  readonly refundId: string;
  readonly lines: readonly AskedLine[];
  readonly unsellable: boolean;
  readonly note: string;
}

/** What a refund asks for: lines or an amount. */
export interface RefundRequest {
  readonly refundId: string;
  readonly lines: readonly AskedLine[];
  readonly amount: Money | undefined;
  readonly note: string;
}

/**
 * Takes pieces back and pays what they cost, and the shipping fee too once nothing of the order is kept; never more than is
 * left of the payment, where some of it was paid back before.
 * @throws ServiceError ORDER_NOT_CONFIRMED, TOO_MANY_REFUNDS, PRODUCT_NOT_IN_ORDER, QUANTITY_EXCEEDS_ORDER.
 */
export function acceptReturn(order: Order, request: ReturnRequest): RefundAccepted {
  checkOpen(order);
  const lines = takeLines(order, request.lines);
  const isAll = order.lines.every(({ productId, quantity }) => {
    const now = lines.find((line) => line.productId === productId)?.quantity ?? 0;
    return takenBackOf(order, productId) + now === quantity;
  });
  const worthMinor = priceOf(order, lines) + (isAll ? order.shippingFee.amountMinor : 0n);
  const amountMinor = smaller(worthMinor, leftMinor(order));
  const { refundId, unsellable, note } = request;
  return {
    type: "returnAccepted",
    refund: { ...fresh(order, amountMinor), refundId, kind: "return", lines, unsellable, note },
  };
}

/**
 * Pays back without taking anything back.
 * @throws ServiceError ORDER_NOT_CONFIRMED, TOO_MANY_REFUNDS, PRODUCT_NOT_IN_ORDER, QUANTITY_EXCEEDS_ORDER,
 *   REFUND_CURRENCY_MISMATCH, REFUND_EXCEEDS_PAYMENT.
 */
export function acceptRefund(order: Order, request: RefundRequest): RefundAccepted {
  checkOpen(order);
  const { refundId, amount, note } = request;
  if (amount && amount.currencyCode !== order.total.currencyCode) throw currencyMismatch(order);
  const lines = takeLines(order, request.lines);
  const amountMinor = amount ? amount.amountMinor : priceOf(order, lines);
  if (amountMinor > leftMinor(order)) throw refundExceedsPayment(leftMinor(order));
  return {
    type: "refundAccepted",
    refund: { ...fresh(order, amountMinor), refundId, kind: "refund", lines, unsellable: false, note },
  };
}

/** The money is back, and so are the pieces. */
export function completeRefund(order: Order, refundId: string): OrderRefunded {
  checkPending(order, refundId);
  return { type: "refunded", refundId };
}

/** Nothing was paid back; what the refund held is free again. */
export function refuseRefund(order: Order, refundId: string, refuseReason: string): RefundRefused {
  checkPending(order, refundId);
  return { type: "refundRefused", refundId, refuseReason };
}

/** How many pieces of a product were taken back, or are about to be. */
export const takenBackOf = (order: Order, productId: string) =>
  piecesIn(
    order.refunds.filter(({ kind, status }) => kind === "return" && status !== "refused"),
    productId,
  );

/** How many pieces of a product the refunds name. */
export function piecesIn(refunds: readonly Refund[], productId: string): number {
  const lines = refunds.flatMap((refund) => refund.lines.filter((line) => line.productId === productId));
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}

const fresh = ({ total }: Order, amountMinor: bigint) =>
  ({
    status: "pending",
    amount: { currencyCode: total.currencyCode, amountMinor },
    refuseReason: "",
  }) as const;

function checkOpen(order: Order) {
  if (order.outcome !== "confirmed" || order.cancelling) throw notConfirmed(order);
  if (order.refunds.length >= maxRefunds) throw tooManyRefunds(order);
}

/** A saga's end that was recorded before is a fault of the engine, not a refusal. */
function checkPending({ orderId, refunds }: Order, refundId: string) {
  if (refunds.find((refund) => refund.refundId === refundId)?.status !== "pending")
    throw new Error(`${refundId} of ${orderId} is not pending`);
}

/** Adds lines of a product up, and makes sure that the order still has so many pieces to give back. */
function takeLines(order: Order, asked: readonly AskedLine[]): RefundLine[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of asked)
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return [...quantities].map(([productId, quantity]) => {
    const { sku, quantity: bought } = lineOf(order, productId);
    const left = bought - piecesIn(standing(order), productId);
    if (quantity > left) throw quantityExceedsOrder(productId, left);
    return { productId, sku, quantity };
  });
}

function lineOf({ lines }: Order, productId: string): OrderLine {
  const line = lines.find((candidate) => candidate.productId === productId);
  if (!line) throw productNotInOrder(productId);
  return line;
}

const priceOf = (order: Order, lines: readonly RefundLine[]) =>
  lines.reduce(
    (sum, { productId, quantity }) => sum + lineOf(order, productId).unitPrice.amountMinor * BigInt(quantity),
    0n,
  );

const standing = ({ refunds }: Order) => refunds.filter(({ status }) => status !== "refused");

const leftMinor = (order: Order) =>
  standing(order).reduce((left, { amount }) => left - amount.amountMinor, order.total.amountMinor);

const smaller = (a: bigint, b: bigint) => (a < b ? a : b);

const notConfirmed = ({ orderId, status }: Order) =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_NOT_CONFIRMED, `The order ${orderId} is ${status}.`, {
    metadata: { order_id: orderId, status },
  });

const tooManyRefunds = ({ orderId }: Order) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.TOO_MANY_REFUNDS,
    `The order has ${maxRefunds} returns and refunds already.`,
    { metadata: { order_id: orderId } },
  );

const productNotInOrder = (productId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.PRODUCT_NOT_IN_ORDER,
    `The product ${productId} is not in the order.`,
    { metadata: { product_id: productId } },
  );

const quantityExceedsOrder = (productId: string, left: number) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.QUANTITY_EXCEEDS_ORDER,
    `Of the product ${productId} only ${left} pieces can still be taken back or paid back.`,
    { metadata: { product_id: productId, left: String(left) } },
  );

const refundExceedsPayment = (left: bigint) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.REFUND_EXCEEDS_PAYMENT,
    "That is more than is left to pay back.",
    { metadata: { left_minor: String(left) } },
  );

const currencyMismatch = ({ total }: Order) =>
  serviceError(ErrorReasonSchema, ErrorReason.REFUND_CURRENCY_MISMATCH, "The order is in another currency.", {
    metadata: { currency_code: total.currencyCode },
  });

/** No return of that id, as far as the caller is concerned. */
export const returnNotFound = (returnId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.RETURN_NOT_FOUND, `There is no return ${returnId}.`, {
    metadata: { return_id: returnId },
  });

/** No refund of that id, as far as the caller is concerned. */
export const refundNotFound = (refundId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.REFUND_NOT_FOUND, `There is no refund ${refundId}.`, {
    metadata: { refund_id: refundId },
  });
