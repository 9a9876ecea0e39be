import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/inventory/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** Pieces of one SKU. */
export interface StockLine {
  readonly sku: string;
  readonly quantity: number;
}

/** `held` may become any of the others; `expired` and `released` only `committed`. */
export type ReservationStatus = "held" | "released" | "committed" | "expired";

/** Pieces set aside for one order. */
export interface Reservation {
  readonly reservationId: string;
  readonly orderId: string;
  readonly status: ReservationStatus;
  readonly lines: readonly StockLine[];
  readonly expiresAt: Date;
  /** 1 when made, one more with each change of status. */
  readonly version: bigint;
}

/** How long pieces are set aside, in milliseconds; the contract promises 15 minutes. */
export const reservationLifetimeMs = 15 * 60_000;

/** One line per SKU, in the order in which all transactions lock stock: two orders cannot wait for each other. */
export function mergeLines(lines: readonly StockLine[]): StockLine[] {
  const quantities = new Map<string, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  return [...quantities]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .sort((left, right) => (left.sku < right.sku ? -1 : 1));
}

/** Too few pieces for a line of an order. */
export const outOfStock = (sku: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.OUT_OF_STOCK, `Too few pieces of ${sku} are available.`, {
    metadata: { sku },
  });

/** Released goods of an order that was confirmed would be sold twice. */
export const reservationEnded = (orderId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.RESERVATION_ENDED,
    "The reservation was committed and cannot be released.",
    { metadata: { order_id: orderId } },
  );

/** A second reservation would set the order's pieces aside twice. */
export const orderAlreadyReserved = (orderId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.ORDER_ALREADY_RESERVED,
    "The order has a reservation already.",
    { metadata: { order_id: orderId } },
  );

/** The command was undone before it arrived. */
export const reservationCancelled = () =>
  serviceError(
    AnyReasonSchema,
    AnyReason.COMMAND_CANCELLED,
    "The reservation was released before it arrived.",
  );

/** The pieces went back to stock, or were sold: there is nothing to keep. */
export const reservationNotHeld = (orderId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.RESERVATION_ENDED,
    "The order's reservation is no longer held.",
    {
      metadata: { order_id: orderId },
    },
  );

/** The order never set aside what is to come back. */
export const reservationNotFound = (orderId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.RESERVATION_NOT_FOUND, "The order has no such reservation.", {
    metadata: { order_id: orderId },
  });

/** More pieces of a SKU would come back than went out. */
export const returnExceedsSale = (sku: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.RETURN_EXCEEDS_SALE,
    `More pieces of ${sku} would come back than the order bought.`,
    { metadata: { sku } },
  );

/** The order is paid, and its pieces went to others: nothing was sold that could come back. */
export const reservationNotSold = (orderId: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.RESERVATION_NOT_SOLD,
    "The order's pieces were never sold, so none can come back.",
    { metadata: { order_id: orderId } },
  );
