import { ShipmentBookedSchema, ShipmentCancelledSchema } from "#gen/souk/shipping/v1/events_pb.ts";
import { type Announcement, announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Shipment } from "./shipment.ts";

/** What led to the events of a change; a call is one. */
export type Cause = Pick<Announcement, "correlationId" | "traceparent">;

/** Announces the change that brought a shipment where it stands. */
export function announceChange(
  tx: Transaction,
  shipment: Shipment,
  { correlationId, traceparent }: Cause,
): void {
  const { shipmentId, orderId, customerId, trackingNumber, version } = shipment;
  // Version 1 is the intent, which nobody is told of; each later one is announced, but for a refusal, which is the last.
  const previousVersion = version === 2n ? 0n : version - 1n;
  const about = { aggregateVersion: version, previousVersion, correlationId, traceparent };
  if (shipment.status === "BOOKED") {
    announce(tx, ShipmentBookedSchema, { shipmentId, orderId, customerId, trackingNumber }, about);
  } else if (shipment.status === "CANCELLED") {
    announce(tx, ShipmentCancelledSchema, { shipmentId, orderId, customerId }, about);
  }
}
