import type { Deadline } from "#kit/time/time.ts";
import type { CarrierTruth, Destination } from "./shipment.ts";
import type { ServiceLevel } from "./tariff.ts";

/** A parcel to be collected. Repeating it with the same key has no further effect and gets the first answer. */
export interface Booking {
  readonly key: string;
  readonly orderId: string;
  readonly destination: Destination;
  readonly serviceLevel: ServiceLevel;
  readonly parcelGrams: readonly number[];
}

/** One thing that happened to a parcel. */
export interface TrackingEvent {
  readonly description: string;
  readonly occurredAt: Date;
}

/** What the carrier has on its books about one parcel. */
export interface CarrierRecord {
  /** The carrier's id of it. */
  readonly reference: string;
  /** Whom it was booked for. */
  readonly orderId: string;
  readonly standing: "booked" | "cancelled" | "dispatched";
}

/**
 * The carrier, as far as shipping needs it. Every method repeats safely. They answer what is true at the carrier
 * afterwards, also when that is not what was asked for (a parcel that has left is not cancelled: `dispatched`).
 * All throw ServiceError DEPENDENCY_UNAVAILABLE (retryable) when the outcome is unknown: no answer in time, or a fault
 * there; IDEMPOTENCY_KEY_IN_USE (retryable too) while an earlier request under the key is still being carried out.
 */
export interface Carrier {
  book(booking: Booking, deadline: Deadline): Promise<CarrierTruth>;
  cancel(
    command: { readonly key: string; readonly reference: string },
    deadline: Deadline,
  ): Promise<CarrierTruth>;
  /** Where a shipment stands now. */
  find(reference: string, deadline: Deadline): Promise<CarrierTruth>;
  /** What happened to a parcel, oldest first. */
  track(trackingNumber: string, deadline: Deadline): Promise<TrackingEvent[]>;
  /** Its records made within a time, to the second and both ends included, newest first, page by page. */
  list(
    within: { readonly from: Date | undefined; readonly to: Date | undefined },
    deadline: Deadline,
  ): AsyncIterable<readonly CarrierRecord[]>;
  /** One record; undefined when there is none. */
  look(reference: string, deadline: Deadline): Promise<CarrierRecord | undefined>;
  /** Closes idle connections. */
  close(): void;
}
