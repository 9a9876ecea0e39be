import {
  type Shipment,
  ShipmentStatus,
  ShipmentStatusSchema,
  type ShippingService,
} from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { Client } from "#kit/rpc/client.ts";
import { type EndedOrder, idsOf, judgeEach, type OrderJudge } from "./judge.ts";

/** A confirmed order has exactly one live shipment, its own, whatever came back of it; a cancelled one has none. */
export const judgeShipments =
  (shipping: Client<typeof ShippingService>): OrderJudge =>
  async (orders) => {
    const { shipments } = await shipping.batchGetShipments({ orderIds: idsOf(orders) });
    return judgeEach(orders, shipments, (order, held) => complaints(order, held.filter(isLive)));
  };

const isLive = ({ status }: Shipment) =>
  status !== ShipmentStatus.CANCELLED && status !== ShipmentStatus.REFUSED;

function complaints({ outcome, shipmentId }: EndedOrder, live: readonly Shipment[]) {
  if (outcome === "cancelled")
    return live.map((shipment) => `cancelled, but ${shipment.shipmentId} is ${statusOf(shipment)}`);
  const own = live.find((shipment) => shipment.shipmentId === shipmentId);
  return [
    !own && `confirmed, but its shipment ${shipmentId} is not booked`,
    own?.status === ShipmentStatus.PENDING && `confirmed, but its shipment ${shipmentId} is pending`,
    live.length > 1 && `confirmed, and ${live.length} shipments are on their way`,
  ];
}

const statusOf = ({ status }: Shipment) => ShipmentStatusSchema.value[status]?.localName.toLowerCase();
