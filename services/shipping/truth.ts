// How the carrier's word gets into the shop's books: recorded once, announced once.
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Deadline } from "#kit/time/time.ts";
import { announceChange, type Cause } from "./announcements.ts";
import type { Carrier } from "./carrier.ts";
import { type CarrierTruth, packParcels, type Shipment } from "./shipment.ts";
import { moveShipment, type ShipmentMove } from "./shipment-store.ts";

/**
 * Books a shipment whose outcome the shop does not know, under its key: once, however often it is asked.
 * @throws ServiceError DEPENDENCY_UNAVAILABLE when the outcome stays unknown.
 */
export async function bookAtCarrier(
  carrier: Carrier,
  shipment: Shipment,
  deadline: Deadline,
): Promise<CarrierTruth> {
  const { bookKey: key, orderId, destination, serviceLevel, pieces } = shipment;
  if (!destination)
    throw new Error(`shipment ${shipment.shipmentId} is decided, its destination is not kept`);
  return await carrier.book(
    { key, orderId, destination, serviceLevel, parcelGrams: packParcels(pieces) },
    deadline,
  );
}

/** Records what the carrier says and announces it; undefined when the shipment has moved on meanwhile. */
export async function recordTruth(
  tx: Transaction,
  bookKey: string,
  truth: CarrierTruth,
  cause: Cause,
): Promise<Shipment | undefined> {
  const moved = await moveShipment(tx, bookKey, moveTo(truth));
  if (moved) announceChange(tx, moved, cause);
  return moved;
}

function moveTo(truth: CarrierTruth): ShipmentMove {
  if (truth.standing === "refused") return { from: ["PENDING"], to: "REFUSED" };
  if (truth.standing === "cancelled") return { from: ["PENDING", "BOOKED"], to: "CANCELLED", ...truth };
  return { from: ["PENDING"], to: "BOOKED", ...truth };
}
