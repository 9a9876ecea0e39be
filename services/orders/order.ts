import { alreadyEnded, currencyMismatch, productNotSold, totalTooLarge } from "./order-refusals.ts";

/** An amount in the currency's minor unit. */
export interface Money {
  readonly currencyCode: string;
  readonly amountMinor: bigint;
}

/** Where an order stands. `cancelling` and `refunding` are on their way to one of the others. */
export type OrderStatus = "pending" | "confirmed" | "cancelled" | "cancelling" | "refunding" | "refunded";
export type ServiceLevel = "standard" | "express";

export interface Address {
  readonly name: string;
  readonly line1: string;
  readonly line2: string;
  readonly city: string;
  readonly postalCode: string;
  readonly countryCode: string;
}

/** A product in an order, with its facts as they were when the order was placed. */
export interface OrderLine {
  readonly productId: string;
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}

export interface Order {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly lines: readonly OrderLine[];
  readonly subtotal: Money;
  readonly shippingFee: Money;
  readonly total: Money;
  readonly shippingAddress: Address;
  readonly serviceLevel: ServiceLevel;
  /** What checkout, or a cancellation after it, came to. */
  readonly outcome: "open" | "confirmed" | "cancelled";
  /** Somebody has asked to cancel, and that is not decided yet. */
  readonly cancelling: boolean;
  /** An error reason, or `CUSTOMER_CANCELLED`; empty unless cancelled. */
  readonly cancelReason: string;
  /** Why the last cancellation was refused; empty unless one was. */
  readonly cancelRefuseReason: string;
  /** Returns and refunds, oldest first. */
  readonly refunds: readonly Refund[];
  readonly reservationId: string;
  readonly paymentId: string;
  readonly shipmentId: string;
  /** How many events the order has. */
  readonly version: bigint;
}

/** Pieces of one product that are taken back or paid back. */
export interface RefundLine {
  readonly productId: string;
  readonly sku: string;
  readonly quantity: number;
}

/** Money on its way back, with or without pieces. Until it is refused it holds what it asks for. */
export interface Refund {
  /** `return_…` or `refund_…`. */
  readonly refundId: string;
  readonly kind: "return" | "refund";
  readonly status: "pending" | "completed" | "refused";
  /** Empty where only an amount was named. */
  readonly lines: readonly RefundLine[];
  readonly amount: Money;
  /** Returned pieces that do not go back on sale. */
  readonly unsellable: boolean;
  readonly note: string;
  /** An error reason; empty unless refused. */
  readonly refuseReason: string;
}

export interface OrderPlaced {
  readonly type: "placed";
  readonly orderId: string;
  readonly customerId: string;
  readonly lines: readonly OrderLine[];
  readonly subtotal: Money;
  readonly shippingFee: Money;
  readonly total: Money;
  readonly shippingAddress: Address;
  readonly serviceLevel: ServiceLevel;
}

export interface OrderConfirmed {
  readonly type: "confirmed";
  readonly reservationId: string;
  readonly paymentId: string;
  readonly shipmentId: string;
}

export interface OrderCancelled {
  readonly type: "cancelled";
  readonly cancelReason: string;
}

export interface CancellationRequested {
  readonly type: "cancellationRequested";
}

export interface CancellationRefused {
  readonly type: "cancellationRefused";
  readonly refuseReason: string;
}

/** A return or a refund was accepted. */
export interface RefundAccepted {
  readonly type: "returnAccepted" | "refundAccepted";
  readonly refund: Refund;
}

/** A return or a refund is done. */
export interface OrderRefunded {
  readonly type: "refunded";
  readonly refundId: string;
}

export interface RefundRefused {
  readonly type: "refundRefused";
  readonly refundId: string;
  readonly refuseReason: string;
}

export type OrderEvent =
  | OrderPlaced
  | OrderConfirmed
  | OrderCancelled
  | CancellationRequested
  | CancellationRefused
  | RefundAccepted
  | OrderRefunded
  | RefundRefused;

/**
 * What a later release has written, beside which this one runs for a while, or again: it has its place in the order's life, and says
 * nothing that this release has to know. A release that decides by a new event writes it one release after it can read it.
 */
export interface LaterEvent {
  readonly type: "later";
}

/** A product as the catalog sells it now. */
export interface PricedProduct {
  readonly productId: string;
  readonly sku: string;
  readonly name: string;
  readonly price: Money;
}

/** What a customer asks for, with the facts it is priced from. */
export interface OrderRequest {
  readonly orderId: string;
  readonly customerId: string;
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  readonly products: ReadonlyMap<string, PricedProduct>;
  readonly shippingFee: Money;
  readonly shippingAddress: Address;
  readonly serviceLevel: ServiceLevel;
}

/** What one payment can move, in minor units: the contract's limit for any amount. */
const maxTotalMinor = 1_000_000_000_000n;

/**
 * Prices and places an order. Lines of the same product are added up.
 * @throws ServiceError PRODUCT_NOT_SOLD, CURRENCY_MISMATCH, VALIDATION_FAILED where the total is more than can be paid at once.
 */
export function placeOrder(request: OrderRequest): OrderPlaced {
  const lines = priceLines(request);
  const { orderId, customerId, shippingFee, shippingAddress, serviceLevel } = request;
  const { currencyCode } = shippingFee;
  const stranger = lines.find(({ unitPrice }) => unitPrice.currencyCode !== currencyCode);
  if (stranger) throw currencyMismatch(stranger.productId, stranger.unitPrice.currencyCode, currencyCode);
  const amountMinor = lines.reduce(
    (sum, line) => sum + line.unitPrice.amountMinor * BigInt(line.quantity),
    0n,
  );
  const total = { currencyCode, amountMinor: amountMinor + shippingFee.amountMinor };
  if (total.amountMinor > maxTotalMinor) throw totalTooLarge(maxTotalMinor);
  const subtotal = { currencyCode, amountMinor };
  return {
    type: "placed",
    orderId,
    customerId,
    lines,
    subtotal,
    shippingFee,
    total,
    shippingAddress,
    serviceLevel,
  };
}

/**
 * An order that somebody asks to cancel meanwhile is confirmed all the same: its money is taken, and given back afterwards.
 * @throws ServiceError ORDER_ALREADY_ENDED.
 */
export function confirmOrder(order: Order, settled: Omit<OrderConfirmed, "type">): OrderConfirmed {
  if (order.outcome !== "open") throw alreadyEnded(order);
  return { type: "confirmed", ...settled };
}

/** @throws ServiceError ORDER_ALREADY_ENDED. */
export function cancelOrder(order: Order, cancelReason: string): OrderCancelled {
  if (order.outcome !== "open") throw alreadyEnded(order);
  return { type: "cancelled", cancelReason };
}

/** Folds an event into the state; the first event makes the order. */
export function evolve(order: Order | undefined, event: OrderEvent | LaterEvent): Order {
  if (event.type === "placed") {
    const { type: _, ...facts } = event;
    return { ...facts, ...unsettled, status: "pending", version: 1n };
  }
  if (!order) throw new Error(`an order cannot begin with ${event.type}`);
  const after = { ...order, ...changeOf(order, event), version: order.version + 1n };
  return { ...after, status: statusOf(after) };
}

function changeOf(order: Order, event: Exclude<OrderEvent, OrderPlaced> | LaterEvent): Partial<Order> {
  switch (event.type) {
    case "confirmed": {
      const { type: outcome, ...settled } = event;
      return { outcome, ...settled };
    }
    case "cancelled":
      return { outcome: "cancelled", cancelling: false, cancelReason: event.cancelReason };
    case "cancellationRequested":
      return { cancelling: true, cancelRefuseReason: "" };
    case "cancellationRefused":
      return { cancelling: false, cancelRefuseReason: event.refuseReason };
    case "returnAccepted":
    case "refundAccepted":
      return { refunds: [...order.refunds, event.refund] };
    case "refunded":
      return endRefund(order, event.refundId, { status: "completed" });
    case "refundRefused":
      return endRefund(order, event.refundId, { status: "refused", refuseReason: event.refuseReason });
    case "later":
      return {};
  }
}

const endRefund = ({ refunds }: Order, refundId: string, end: Partial<Refund>) => ({
  refunds: refunds.map((refund) => (refund.refundId === refundId ? { ...refund, ...end } : refund)),
});

function statusOf(order: Order): OrderStatus {
  if (order.outcome === "cancelled") return "cancelled";
  if (order.cancelling) return "cancelling";
  if (order.outcome === "open") return "pending";
  if (order.refunds.some(({ status }) => status === "pending")) return "refunding";
  const refundedMinor = refundedOf(order).amountMinor;
  return refundedMinor > 0n && refundedMinor === order.total.amountMinor ? "refunded" : "confirmed";
}

/** How much of an order was paid back. A cancelled order keeps nothing of what it was paid. */
export function refundedOf({ outcome, paymentId, total, refunds }: Order): Money {
  const { currencyCode } = total;
  if (outcome === "cancelled" && paymentId !== "") return total;
  const done = refunds.filter(({ status }) => status === "completed");
  return { currencyCode, amountMinor: done.reduce((sum, { amount }) => sum + amount.amountMinor, 0n) };
}

/** The state after a whole history. */
export function fold(events: readonly (OrderEvent | LaterEvent)[]): Order | undefined {
  return events.reduce<Order | undefined>(evolve, undefined);
}

const unsettled = {
  outcome: "open",
  cancelling: false,
  cancelReason: "",
  cancelRefuseReason: "",
  refunds: [],
  reservationId: "",
  paymentId: "",
  shipmentId: "",
} as const;

function priceLines({ lines, products }: OrderRequest): OrderLine[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of lines) {
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  }
  return [...quantities].map(([productId, quantity]) => {
    const product = products.get(productId);
    if (!product) throw productNotSold(productId);
    return { productId, sku: product.sku, name: product.name, quantity, unitPrice: product.price };
  });
}
