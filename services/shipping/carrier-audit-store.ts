import { type Queryable, statement } from "#kit/postgres/postgres.ts";
import type { ShipmentStatus } from "./shipment.ts";

/** A shipment as comparisons with the carrier look at it. */
export interface ShipmentAudit {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly status: ShipmentStatus;
  /** The carrier's id of it; null while the outcome is unknown, and where the carrier refused. */
  readonly reference: string | null;
  readonly createdAt: Date;
  /** Whether it has not changed for the grace of the run. */
  readonly atRest: boolean;
}

const selectIds = statement(
  "shipping-select-ids",
  `select shipment_id as "shipmentId" from shipments where shipment_id > $1 and customer_id is not null
    order by shipment_id limit $2`,
);

const columns = `shipment_id as "shipmentId", order_id as "orderId", status, carrier_reference as reference,
  created_at as "createdAt", updated_at <= souk_now() - $2 * interval '1 millisecond' as "atRest"`;

const selectAudits = statement(
  "shipping-select-audits",
  `select ${columns} from shipments where shipment_id = any($1) and customer_id is not null order by shipment_id`,
);

const selectOfOrders = statement(
  "shipping-select-audits-of-orders",
  `select ${columns} from shipments where order_id = any($1) and customer_id is not null order by shipment_id`,
);

/** Ids of shipments behind `after`, in order; a cancellation that came before its booking is no shipment. */
export async function readShipmentIds(source: Queryable, after: string, limit: number): Promise<string[]> {
  const rows = await source.query<{ shipmentId: string }>(selectIds, [after, limit]);
  return rows.map(({ shipmentId }) => shipmentId);
}

/** Reads some shipments. */
export const readShipmentAudits = (
  source: Queryable,
  shipmentIds: readonly string[],
  graceMs: number,
): Promise<ShipmentAudit[]> => source.query<ShipmentAudit>(selectAudits, [shipmentIds, graceMs]);

/** Reads the shipments of some orders. */
export const readAuditsOfOrders = (
  source: Queryable,
  orderIds: readonly string[],
  graceMs: number,
): Promise<ShipmentAudit[]> => source.query<ShipmentAudit>(selectOfOrders, [orderIds, graceMs]);
