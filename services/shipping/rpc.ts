import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { keyReused } from "#kit/errors/errors.ts";
import { cancelCommand } from "#kit/idempotency/idempotency.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, query, refusal } from "#kit/service/handlers.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { Carrier } from "./carrier.ts";
import { fromBookRequest, fromServiceLevel, toShipmentMessage, toTrackingMessage } from "./messages.ts";
import {
  addressRefused,
  bookingCancelled,
  type CarrierTruth,
  checkSameRequest,
  type Shipment,
  shipmentAlreadyDispatched,
  shipmentNotFound,
} from "./shipment.ts";
import {
  cancelAhead,
  openShipment,
  readShipment,
  readShipmentByKey,
  readShipmentsOfOrders,
} from "./shipment-store.ts";
import { quote } from "./tariff.ts";
import { bookAtCarrier, recordTruth } from "./truth.ts";

/** What the handlers of shipping work with. */
export interface ShippingParts {
  readonly db: Database;
  readonly carrier: Carrier;
}

/** The handlers of ShippingService. */
export const shippingRpc = (parts: ShippingParts) => ({
  quoteShipping,
  getShipment: getShipment(parts),
  trackShipment: trackShipment(parts),
  checkDispatch: checkDispatch(parts),
  bookShipment: bookShipment(parts),
  batchGetShipments: batchGetShipments(parts),
  cancelShipment: cancelShipment(parts),
});

const quoteShipping = query(ShippingService.method.quoteShipping, ({ countryCode, serviceLevel }) => {
  const { days, ...price } = quote(countryCode, fromServiceLevel(serviceLevel));
  return { price, days };
});

const getShipment = ({ db }: ShippingParts) =>
  query(ShippingService.method.getShipment, async ({ shipmentId }, call) => ({
    shipment: toShipmentMessage(await readOwn(db, shipmentId, call)),
  }));

const trackShipment = ({ db, carrier }: ShippingParts) =>
  query(ShippingService.method.trackShipment, async ({ shipmentId }, call) => {
    const { trackingNumber } = await readOwn(db, shipmentId, call);
    if (trackingNumber === "") return { trackingNumber, events: [] };
    const events = await carrier.track(trackingNumber, call.deadline);
    return { trackingNumber, events: events.map(toTrackingMessage) };
  });

const batchGetShipments = ({ db }: ShippingParts) =>
  query(ShippingService.method.batchGetShipments, async ({ orderIds }) => ({
    shipments: (await readShipmentsOfOrders(db, orderIds)).map(toShipmentMessage),
  }));

const checkDispatch = ({ db, carrier }: ShippingParts) =>
  query(ShippingService.method.checkDispatch, async ({ shipmentId }, call) => {
    const shipment = await readShipment(db, shipmentId);
    if (!shipment) throw shipmentNotFound(shipmentId);
    const { status, carrierReference } = shipment;
    if (status !== "BOOKED" || carrierReference === undefined) return { dispatched: false };
    const { standing } = await carrier.find(carrierReference, call.deadline);
    return { dispatched: standing === "dispatched" };
  });

/** A refusal of the carrier is recorded before it is reported. */
const bookShipment = ({ carrier }: ShippingParts) =>
  command(ShippingService.method.bookShipment, {
    groupCommit: true,
    async intend(tx, request, call) {
      const wanted = fromBookRequest(request, keyOf(call));
      quote(wanted.destination.countryCode, wanted.serviceLevel);
      const shipment = await openShipment(tx, wanted);
      if (!shipment) throw bookingCancelled();
      checkSameRequest(shipment, wanted);
      return shipment;
    },
    async prepare(_request, call, shipment) {
      return shipment.status === "PENDING"
        ? await bookAtCarrier(carrier, shipment, call.deadline)
        : undefined;
    },
    async apply(tx, _request, call, truth) {
      const bookKey = keyOf(call);
      const moved = truth && (await recordTruth(tx, bookKey, truth, call));
      const shipment = moved ?? (await readShipmentByKey(tx, bookKey));
      if (!shipment || shipment.status === "CANCELLED") throw bookingCancelled();
      if (shipment.status === "REFUSED") return refusal(addressRefused());
      return { shipment: toShipmentMessage(shipment) };
    },
  });

/** Also for a booking that has not arrived yet, or whose outcome nobody knows. */
const cancelShipment = ({ carrier }: ShippingParts) =>
  command(ShippingService.method.cancelShipment, {
    async intend(tx, { orderId, bookKey }, call) {
      const booking = {
        principal: subjectOf(call),
        method: ShippingService.method.bookShipment,
        key: bookKey,
      };
      const [shipment] = await Promise.all([cancelAhead(tx, orderId, bookKey), cancelCommand(tx, booking)]);
      if (shipment && shipment.orderId !== orderId) throw keyReused();
      return shipment;
    },
    async prepare(_request, call, shipment) {
      const open = shipment?.status === "PENDING" || shipment?.status === "BOOKED";
      return {
        before: shipment,
        truth: open ? await undo(carrier, shipment, keyOf(call), call.deadline) : undefined,
      };
    },
    async apply(tx, { bookKey }, call, { before, truth }) {
      if (!before) return {};
      const moved = truth && (await recordTruth(tx, bookKey, truth, call));
      const shipment = moved ?? (await readShipmentByKey(tx, bookKey)) ?? before;
      if (shipment.status === "BOOKED") return refusal(shipmentAlreadyDispatched(shipment.shipmentId));
      return { shipment: toShipmentMessage(shipment) };
    },
  });

/** Undoing what may not have happened could miss it, so an unknown outcome is found out first. */
async function undo(
  carrier: Carrier,
  shipment: Shipment,
  key: string,
  deadline: Deadline,
): Promise<CarrierTruth> {
  const reference = shipment.carrierReference ?? (await referenceOf(carrier, shipment, deadline));
  return reference === undefined
    ? { standing: "refused" }
    : await carrier.cancel({ key, reference }, deadline);
}

async function referenceOf(
  carrier: Carrier,
  shipment: Shipment,
  deadline: Deadline,
): Promise<string | undefined> {
  const truth = await bookAtCarrier(carrier, shipment, deadline);
  return truth.standing === "refused" ? undefined : truth.reference;
}

async function readOwn(db: Database, shipmentId: string, { principal }: Call): Promise<Shipment> {
  const shipment = await readShipment(db, shipmentId);
  if (!shipment || shipment.customerId !== principal?.subject) throw shipmentNotFound(shipmentId);
  return shipment;
}

function keyOf({ idempotencyKey }: Call): string {
  if (idempotencyKey === undefined)
    throw new Error("the method's policy does not ask for an Idempotency-Key");
  return idempotencyKey;
}

function subjectOf({ principal }: Call): string {
  if (principal === undefined) throw new Error("the method's policy allows anonymous callers");
  return principal.subject;
}
