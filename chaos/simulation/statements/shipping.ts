// What shipping's statements do. Each follows the SQL of its name in services/shipping/shipment-store.ts.
import type { ShipmentStatus } from "../../../services/shipping/shipment.ts";
import type { Journal, StatementModels } from "../model-database.ts";

/** A shipment. One without a customer is a cancellation that came first. */
export interface ShipmentRow {
  readonly shipment_id: string;
  readonly order_id: string;
  readonly book_key: string;
  readonly customer_id: string | null;
  readonly service_level: string | null;
  readonly pieces: number | null;
  readonly destination: object | null;
  readonly status: ShipmentStatus;
  readonly carrier_reference: string | null;
  readonly tracking_number: string;
  readonly version: bigint;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Shipments by book key. */
export type ShipmentTable = Map<string, ShipmentRow>;

/** Models of the shipment store's statements. */
export function shipmentStatements(shipments: ShipmentTable, now: () => Date): StatementModels {
  const meet = (row: ShipmentRow, journal: Journal) => {
    const met = shipments.get(row.book_key) ?? row;
    journal.put(shipments, row.book_key, met);
    return [met];
  };
  const find = (matches: (row: ShipmentRow) => boolean) =>
    [...shipments.values()].filter((row) => row.customer_id !== null && matches(row));
  return {
    "open-shipments": ([id, orderId, key, customerId, level, pieces, destination], journal) => {
      const asked = { customer_id: customerId, service_level: level, pieces };
      return meet(
        { ...blank(id, orderId, key, now()), ...asked, destination: JSON.parse(destination) },
        journal,
      );
    },
    "cancel-shipment-ahead": ([id, orderId, key], journal) =>
      meet({ ...blank(id, orderId, key, now()), status: "CANCELLED" }, journal),
    "move-shipments": ([key, status, reference, trackingNumber, from], journal) => {
      const row = shipments.get(key);
      if (!row || !(from as string).split(",").includes(row.status)) return [];
      const after = {
        ...row,
        status,
        destination: null,
        version: row.version + 1n,
        carrier_reference: reference ?? row.carrier_reference,
        tracking_number: trackingNumber ?? row.tracking_number,
      };
      journal.put(shipments, key, after);
      return [after];
    },
    "read-shipment": ([shipmentId]) => find((row) => row.shipment_id === shipmentId),
    "read-shipment-by-key": ([key]) => find((row) => row.book_key === key),
  };
}

const blank = (shipmentId: string, orderId: string, key: string, at: Date): ShipmentRow => ({
  shipment_id: shipmentId,
  order_id: orderId,
  book_key: key,
  customer_id: null,
  service_level: null,
  pieces: null,
  destination: null,
  status: "PENDING",
  carrier_reference: null,
  tracking_number: "",
  version: 1n,
  created_at: at,
  updated_at: at,
});
