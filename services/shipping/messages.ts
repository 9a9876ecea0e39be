import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ServiceLevel as ServiceLevelMessage } from "#gen/souk/commerce/v1/commerce_pb.ts";
import {
  type BookShipmentRequest,
  type ShipmentSchema,
  ShipmentStatus,
  type TrackingEventSchema,
} from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { TrackingEvent } from "./carrier.ts";
import type { Destination, Shipment, ShipmentRequest } from "./shipment.ts";
import type { ServiceLevel } from "./tariff.ts";

/** A shipment as callers see it. */
export function toShipmentMessage(shipment: Shipment): MessageInitShape<typeof ShipmentSchema> {
  const { shipmentId, orderId, customerId, trackingNumber } = shipment;
  return {
    ...{ shipmentId, orderId, customerId, trackingNumber },
    status: ShipmentStatus[shipment.status],
    serviceLevel: ServiceLevelMessage[shipment.serviceLevel],
    createdAt: timestampFromDate(shipment.createdAt),
    updatedAt: timestampFromDate(shipment.updatedAt),
  };
}

/** One thing that happened to a parcel, as callers see it. */
export function toTrackingMessage(event: TrackingEvent): MessageInitShape<typeof TrackingEventSchema> {
  return { description: event.description, occurredAt: timestampFromDate(event.occurredAt) };
}

/** What a booking asks for, under the key it came with. */
export function fromBookRequest(
  request: BookShipmentRequest,
  bookKey: string,
): ShipmentRequest & { readonly destination: Destination } {
  const { orderId, customerId, pieces, destination } = request;
  if (!destination) throw new Error("the contract requires a destination");
  const { name, line1, line2, city, postalCode, countryCode } = destination;
  return {
    ...{ orderId, customerId, pieces, bookKey },
    serviceLevel: fromServiceLevel(request.serviceLevel),
    destination: { name, line1, line2, city, postalCode, countryCode },
  };
}

/** Standard, unless express is asked for. */
export function fromServiceLevel(level: ServiceLevelMessage): ServiceLevel {
  return level === ServiceLevelMessage.EXPRESS ? "EXPRESS" : "STANDARD";
}
