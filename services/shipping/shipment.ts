import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/shipping/v1/errors_pb.ts";
import { keyReused, serviceError } from "#kit/errors/errors.ts";
import type { ServiceLevel } from "./tariff.ts";

/** Where a shipment stands. */
export type ShipmentStatus = "PENDING" | "BOOKED" | "REFUSED" | "CANCELLED";

/** Where a parcel goes. */
export interface Destination {
  readonly name: string;
  readonly line1: string;
  /** Empty when the street line has room for all. */
  readonly line2: string;
  readonly city: string;
  readonly postalCode: string;
  /** ISO 3166-1 alpha-2, capitals. */
  readonly countryCode: string;
}

/** What a booking asks for. */
export interface ShipmentRequest {
  readonly orderId: string;
  readonly customerId: string;
  readonly serviceLevel: ServiceLevel;
  readonly pieces: number;
  /** The command's key: natural key of the shipment, and the carrier's idempotency key. */
  readonly bookKey: string;
}

/** One shipment. */
export interface Shipment extends ShipmentRequest {
  readonly shipmentId: string;
  readonly status: ShipmentStatus;
  /** Known only while the outcome is unknown. */
  readonly destination: Destination | undefined;
  /** The carrier's id of it. */
  readonly carrierReference: string | undefined;
  /** Empty until the carrier has accepted. */
  readonly trackingNumber: string;
  /** Counts changes from 1; orders the shipment's events. */
  readonly version: bigint;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What the carrier says about a shipment: its word decides, whatever was recorded here. */
export type CarrierTruth =
  | {
      readonly standing: "booked" | "cancelled" | "dispatched";
      readonly reference: string;
      readonly trackingNumber: string;
    }
  | { readonly standing: "refused" };

/** @throws ServiceError IDEMPOTENCY_KEY_REUSED when the shipment under this key is another one. */
export function checkSameRequest(shipment: Shipment, request: ShipmentRequest): void {
  const same =
    shipment.orderId === request.orderId &&
    shipment.customerId === request.customerId &&
    shipment.serviceLevel === request.serviceLevel &&
    shipment.pieces === request.pieces;
  if (!same) throw keyReused();
}

// The catalog knows no weights yet: half a kilogram a piece, parcels of ten kilograms. The carrier takes no more parcels
// than this, nor heavier ones than its own limit.
const gramsPerPiece = 500;
const piecesPerParcel = 20;
const maxParcels = 50;
const maxGramsPerParcel = 70_000;

/** Packs pieces evenly into parcels; answers each parcel's weight in grams. */
export function packParcels(pieces: number): number[] {
  const parcels = Math.min(maxParcels, Math.ceil(pieces / piecesPerParcel));
  return Array.from({ length: parcels }, (_, index) => {
    const inParcel = Math.floor(pieces / parcels) + (index < pieces % parcels ? 1 : 0);
    return Math.min(maxGramsPerParcel, inParcel * gramsPerPiece);
  });
}

/** Nobody may learn that a shipment exists which is not theirs, so this is also said of other people's. */
export const shipmentNotFound = (shipmentId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SHIPMENT_NOT_FOUND, "There is no such shipment.", {
    metadata: { shipment_id: shipmentId },
  });

/** The carrier does not deliver there. */
export const addressRefused = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.ADDRESS_REFUSED,
    "The carrier does not deliver to this address.",
  );

/** The parcel has left. */
export const shipmentAlreadyDispatched = (shipmentId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SHIPMENT_ALREADY_DISPATCHED, "The parcel has left already.", {
    metadata: { shipment_id: shipmentId },
  });

/** The command was undone before it arrived. */
export const bookingCancelled = () =>
  serviceError(AnyReasonSchema, AnyReason.COMMAND_CANCELLED, "The booking was cancelled before it arrived.");

/** The carrier is still carrying out an earlier request under this key; repeating later meets its answer. */
export const stillUnderWay = () =>
  serviceError(AnyReasonSchema, AnyReason.IDEMPOTENCY_KEY_IN_USE, "The carrier is still at it.", {
    retryAfterMs: 500,
  });

/** What happened at the carrier is unknown; repeating with the same key finds out. */
export const outcomeUnknown = (cause: unknown) =>
  serviceError(AnyReasonSchema, AnyReason.DEPENDENCY_UNAVAILABLE, "The carrier has not answered.", { cause });
