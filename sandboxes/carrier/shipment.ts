// The life of a shipment as pure functions over plain data.
import { randomUUID } from "node:crypto";
import { costMinor } from "./pricing.ts";
import { addressRefused, alreadyDispatched } from "./problems.ts";
import type { BookingRequest, Destination } from "./requests.ts";

/** Where a shipment stands. */
export type Status = "booked" | "dispatched" | "in_transit" | "delivered" | "canceled";

/** One line of a shipment's history; `at` is ISO 8601. */
export type TrackingEvent = { status: Status; at: string };

/** A shipment as the API shows it; `created` is in seconds. */
export type Shipment = BookingRequest & {
  id: string;
  created: number;
  tracking_number: string;
  status: Status;
  cost_minor: number;
  currency: string;
  events: TrackingEvent[];
};

/** What a postal code makes the carrier do. */
export type AddressBehavior = "refuse" | "slow" | "withhold" | "accept";

const NEXT: Partial<Record<Status, Status>> = {
  booked: "dispatched",
  dispatched: "in_transit",
  in_transit: "delivered",
};

/** Tells test addresses from others. */
export function behaviorOf({ postal_code }: Destination): AddressBehavior {
  if (postal_code === "REFUSE" || postal_code.startsWith("99999")) return "refuse";
  if (postal_code === "SLOW") return "slow";
  return postal_code === "TIMEOUT" ? "withhold" : "accept";
}

/** What the carrier adds to a booking; `created` is in seconds. */
export type BookingTerms = { now: Date; created: number; currency: string };

/** Books a shipment; throws `address_refused` for the test addresses that stand for it. */
export function bookShipment(request: BookingRequest, { now, created, currency }: BookingTerms): Shipment {
  if (behaviorOf(request.destination) === "refuse") throw addressRefused(request.destination.postal_code);
  const token = randomUUID().replaceAll("-", "");
  return {
    id: `shp_${token}`,
    created,
    tracking_number: trackingNumberOf(token),
    status: "booked",
    cost_minor: costMinor(request.service, request.destination.country, request.parcels),
    currency,
    ...request,
    events: [{ status: "booked", at: now.toISOString() }],
  };
}

/** Cancels a shipment that has not left; throws `already_dispatched`. */
export function cancelShipment(shipment: Shipment, now: Date): Shipment {
  if (shipment.status !== "booked") throw alreadyDispatched(shipment.status);
  return withStatus(shipment, "canceled", now);
}

/** Moves a shipment one step on its way; undefined when it has no further one. */
export function advanceShipment(shipment: Shipment, now: Date): Shipment | undefined {
  const next = NEXT[shipment.status];
  return next && withStatus(shipment, next, now);
}

/** Finds the shipment's id from its tracking number; undefined when it cannot be one. */
export function idOfTrackingNumber(trackingNumber: string): string | undefined {
  return /^SK[0-9A-F]{32}$/.test(trackingNumber) ? `shp_${trackingNumber.slice(2).toLowerCase()}` : undefined;
}

function trackingNumberOf(token: string): string {
  return `SK${token.toUpperCase()}`;
}

function withStatus(shipment: Shipment, status: Status, now: Date): Shipment {
  return { ...shipment, status, events: [...shipment.events, { status, at: now.toISOString() }] };
}
