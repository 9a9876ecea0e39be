import { ErrorReason, ErrorReasonSchema } from "#gen/souk/inventory/v1/errors_pb.ts";
import { keyReused, serviceError } from "#kit/errors/errors.ts";

/** The stock of one SKU, in pieces. */
export interface Stock {
  readonly sku: string;
  readonly onHand: number;
  /** Of those, set aside for orders under way. */
  readonly reserved: number;
  readonly updatedAt: Date;
}

/** What a person may give as the cause of an adjustment; `sold` is a confirmed order's. */
export type MovementReason = "received" | "damaged" | "counted" | "sold" | "returned";

/** One change of a SKU's pieces in the warehouse. */
export interface Movement {
  readonly movementUuid: string;
  readonly sku: string;
  /** Pieces added; negative where removed. */
  readonly quantity: number;
  readonly reason: MovementReason;
  readonly note: string;
  readonly orderId: string | undefined;
  readonly occurredAt: Date;
}

/** Pieces to add or remove, and why. */
export interface Adjustment {
  readonly sku: string;
  /** Pieces to add; negative to remove; not 0. */
  readonly quantity: number;
  readonly reason: MovementReason;
  readonly note: string;
}

/** The available pieces of a SKU just after a change. */
export interface AvailabilityChange {
  readonly sku: string;
  /** Pieces free to sell now. */
  readonly available: number;
  /** How many more that is than before; negative where fewer. */
  readonly availableDelta: number;
  /** Below this many pieces the SKU counts as low. */
  readonly lowThreshold: number;
  /** The stock row's version after the change. */
  readonly version: bigint;
}

/** Which way a change took the available pieces past the threshold, if it did. */
export function crossedThreshold(change: AvailabilityChange): "low" | "replenished" | undefined {
  const before = change.available - change.availableDelta;
  const wasLow = before < change.lowThreshold;
  const isLow = change.available < change.lowThreshold;
  if (wasLow === isLow) return undefined;
  return isLow ? "low" : "replenished";
}

/** @throws ServiceError IDEMPOTENCY_KEY_REUSED when what was adjusted under this key is something else. */
export function checkSameAdjustment(made: Adjustment, asked: Adjustment): void {
  const same =
    made.sku === asked.sku &&
    made.quantity === asked.quantity &&
    made.reason === asked.reason &&
    made.note === asked.note;
  if (!same) throw keyReused();
}

/** Pieces free to sell. */
export const availablePieces = ({ onHand, reserved }: Stock) => onHand - reserved;

/** The SKU has never had any stock. */
export const stockNotFound = (sku: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.STOCK_NOT_FOUND, `There is no stock record of ${sku}.`, {
    metadata: { sku },
  });

/** An adjustment that would take pieces which are not there, or are set aside for orders. */
export const stockWouldBeNegative = (sku: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.STOCK_WOULD_BE_NEGATIVE,
    `Fewer pieces of ${sku} are available than this would remove.`,
    { metadata: { sku } },
  );

/** An adjustment beyond what a stock record can count. */
export const stockLimitExceeded = (sku: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.STOCK_LIMIT_EXCEEDED,
    `The stock of ${sku} would exceed one billion pieces.`,
    { metadata: { sku } },
  );
