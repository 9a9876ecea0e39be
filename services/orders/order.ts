import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** An amount in the currency's minor unit. */
export interface Money {
  readonly currencyCode: string;
  readonly amountMinor: bigint;
}

export type OrderStatus = "pending" | "confirmed" | "cancelled";
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
  /** An error reason; empty unless cancelled. */
  readonly cancelReason: string;
  readonly reservationId: string;
  readonly paymentId: string;
  readonly shipmentId: string;
  /** How many events the order has. */
  readonly version: bigint;
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

export type OrderEvent = OrderPlaced | OrderConfirmed | OrderCancelled;

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
  if (stranger) throw currencyMismatch(stranger, currencyCode);
  const amountMinor = lines.reduce(
    (sum, line) => sum + line.unitPrice.amountMinor * BigInt(line.quantity),
    0n,
  );
  const total = { currencyCode, amountMinor: amountMinor + shippingFee.amountMinor };
  if (total.amountMinor > maxTotalMinor) throw totalTooLarge();
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
 * Refuses what a key is used for once more, unless it asks for the same as the order it stands for. Prices may have changed.
 * @throws ServiceError IDEMPOTENCY_KEY_REUSED.
 */
export function checkSameRequest(placed: OrderPlaced, again: OrderPlaced): void {
  if (textOf(placed) !== textOf(again)) throw keyReused();
}

const textOf = ({ lines, shippingAddress, serviceLevel }: OrderPlaced) => {
  const { name, line1, line2, city, postalCode, countryCode } = shippingAddress;
  const address = [name, line1, line2, city, postalCode, countryCode];
  return JSON.stringify([
    lines.map(({ productId, quantity }) => [productId, quantity]),
    address,
    serviceLevel,
  ]);
};

/** @throws ServiceError ORDER_ALREADY_ENDED. */
export function confirmOrder(order: Order, settled: Omit<OrderConfirmed, "type">): OrderConfirmed {
  if (order.status !== "pending") throw alreadyEnded(order);
  return { type: "confirmed", ...settled };
}

/** @throws ServiceError ORDER_ALREADY_ENDED. */
export function cancelOrder(order: Order, cancelReason: string): OrderCancelled {
  if (order.status !== "pending") throw alreadyEnded(order);
  return { type: "cancelled", cancelReason };
}

/** Folds an event into the state; the first event makes the order. */
export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === "placed") {
    const { type: _, ...facts } = event;
    return { ...facts, ...unsettled, status: "pending", version: 1n };
  }
  if (!order) throw new Error(`an order cannot begin with ${event.type}`);
  const { type, ...facts } = event;
  return { ...order, ...facts, status: type, version: order.version + 1n };
}

/** The state after a whole history. */
export function fold(events: readonly OrderEvent[]): Order | undefined {
  return events.reduce<Order | undefined>(evolve, undefined);
}

export const orderNotFound = (orderId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_NOT_FOUND, `There is no order ${orderId}.`, {
    metadata: { order_id: orderId },
  });

const unsettled = { cancelReason: "", reservationId: "", paymentId: "", shipmentId: "" };

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

const productNotSold = (productId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PRODUCT_NOT_SOLD, `The product ${productId} is not sold.`, {
    metadata: { product_id: productId },
  });

const currencyMismatch = ({ productId, unitPrice }: OrderLine, currencyCode: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.CURRENCY_MISMATCH,
    `The product ${productId} is priced in ${unitPrice.currencyCode}, the order in ${currencyCode}.`,
    { metadata: { product_id: productId } },
  );

const keyReused = () =>
  serviceError(
    AnyReasonSchema,
    AnyReason.IDEMPOTENCY_KEY_REUSED,
    "This Idempotency-Key was used with another request.",
  );

const totalTooLarge = () =>
  serviceError(AnyReasonSchema, AnyReason.VALIDATION_FAILED, "The order's total is too large.", {
    violations: [{ field: "lines", description: `The total must be at most ${maxTotalMinor} minor units.` }],
  });

const alreadyEnded = ({ orderId, status }: Order) =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_ALREADY_ENDED, `The order ${orderId} is ${status}.`, {
    metadata: { order_id: orderId, status },
  });
