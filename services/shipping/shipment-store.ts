import { newId } from "#kit/ids/ids.ts";
import { type BulkStatement, type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";
import type { Destination, Shipment, ShipmentRequest, ShipmentStatus } from "./shipment.ts";
import type { ServiceLevel } from "./tariff.ts";

/** What a shipment has become. */
export interface ShipmentMove {
  readonly from: readonly ShipmentStatus[];
  readonly to: ShipmentStatus;
  readonly reference?: string | undefined;
  readonly trackingNumber?: string | undefined;
}

interface ShipmentRow {
  shipment_id: string;
  order_id: string;
  book_key: string;
  customer_id: string | null;
  service_level: ServiceLevel | null;
  pieces: number | null;
  destination: Destination | null;
  status: ShipmentStatus;
  carrier_reference: string | null;
  tracking_number: string;
  version: bigint;
  created_at: Date;
  updated_at: Date;
}

const columns = `s.shipment_id, s.order_id, s.book_key, s.customer_id, s.service_level, s.pieces, s.destination, s.status,
  s.carrier_reference, s.tracking_number, s.version, s.created_at, s.updated_at`;

type OpenedShipment = ShipmentRequest & { readonly shipmentId: string; readonly destination: Destination };

// The no-op update returns and locks the row of an earlier command, or waits for one that is being written now.
const openStatement: BulkStatement<OpenedShipment> = {
  name: "open-shipments",
  text: `insert into shipments as s (shipment_id, order_id, book_key, customer_id, service_level, pieces, destination, status,
     created_at, updated_at)
   select item.*, 'PENDING', clock.now, clock.now
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::jsonb[]) as item,
     souk_now() as clock (now)
   on conflict (book_key) do update set book_key = s.book_key
   returning s.book_key as key, ${columns}`,
  keyOf: ({ bookKey }) => bookKey,
  columns: [
    ({ shipmentId }) => shipmentId,
    ({ orderId }) => orderId,
    ({ bookKey }) => bookKey,
    ({ customerId }) => customerId,
    ({ serviceLevel }) => serviceLevel,
    ({ pieces }) => pieces,
    ({ destination }) => JSON.stringify(destination),
  ],
};

const cancelAheadStatement = statement(
  "cancel-shipment-ahead",
  `insert into shipments as s (shipment_id, order_id, book_key, status, created_at, updated_at)
   select $1, $2, $3, 'CANCELLED', souk_now, souk_now from souk_now()
   on conflict (book_key) do update set book_key = s.book_key
   returning ${columns}`,
);

type Move = ShipmentMove & { readonly bookKey: string };

const moveStatement: BulkStatement<Move> = {
  name: "move-shipments",
  text: `update shipments as s set status = item.status, carrier_reference = coalesce(item.reference, s.carrier_reference),
     tracking_number = coalesce(item.tracking_number, s.tracking_number), destination = null, version = s.version + 1,
     updated_at = clock.now
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       as item (book_key, status, reference, tracking_number, before),
     souk_now() as clock (now)
   where s.book_key = item.book_key and s.status = any(string_to_array(item.before, ','))
   returning s.book_key as key, ${columns}`,
  keyOf: ({ bookKey }) => bookKey,
  columns: [
    ({ bookKey }) => bookKey,
    ({ to }) => to,
    ({ reference }) => reference ?? null,
    ({ trackingNumber }) => trackingNumber ?? null,
    ({ from }) => from.join(),
  ],
};

const readStatement = statement(
  "read-shipment",
  `select ${columns} from shipments s where shipment_id = $1 and customer_id is not null`,
);

const readByKeyStatement = statement(
  "read-shipment-by-key",
  `select ${columns} from shipments s where book_key = $1 and customer_id is not null`,
);

const readByOrdersStatement = statement(
  "read-shipments-by-orders",
  `select ${columns} from shipments s where order_id = any($1) order by order_id, shipment_id`,
);

/**
 * Records the intent to book, or finds what an earlier command left under the same key. Undefined when a cancellation came
 * before: there is nothing but its mark.
 */
export async function openShipment(
  tx: Transaction,
  request: ShipmentRequest & { readonly destination: Destination },
): Promise<Shipment | undefined> {
  const opened = { ...request, shipmentId: newId("shipment") };
  return firstShipment(await tx.queryEach<ShipmentRow, OpenedShipment>(openStatement, opened));
}

/** Finds the shipment under a key, or marks the key so that its booking meets the mark when it comes. */
export async function cancelAhead(
  tx: Transaction,
  orderId: string,
  bookKey: string,
): Promise<Shipment | undefined> {
  const values = [newId("shipment"), orderId, bookKey];
  return firstShipment(await tx.query<ShipmentRow>(cancelAheadStatement, values));
}

/** Moves a shipment that stands in one of `from`; undefined when it no longer does. */
export async function moveShipment(
  tx: Transaction,
  bookKey: string,
  move: ShipmentMove,
): Promise<Shipment | undefined> {
  return firstShipment(await tx.queryEach<ShipmentRow, Move>(moveStatement, { bookKey, ...move }));
}

/** Reads a shipment by its id. */
export async function readShipment(source: Queryable, shipmentId: string): Promise<Shipment | undefined> {
  return firstShipment(await source.query<ShipmentRow>(readStatement, [shipmentId]));
}

/** Reads a shipment by the key of its booking. */
export async function readShipmentByKey(source: Queryable, bookKey: string): Promise<Shipment | undefined> {
  return firstShipment(await source.query<ShipmentRow>(readByKeyStatement, [bookKey]));
}

/** Reads the shipments of some orders. */
export async function readShipmentsOfOrders(
  source: Queryable,
  orderIds: readonly string[],
): Promise<Shipment[]> {
  const rows = await source.query<ShipmentRow>(readByOrdersStatement, [orderIds]);
  return rows.flatMap((row) => firstShipment([row]) ?? []);
}

function firstShipment([row]: readonly ShipmentRow[]): Shipment | undefined {
  if (!row || row.customer_id === null || row.service_level === null || row.pieces === null) return undefined;
  return {
    shipmentId: row.shipment_id,
    orderId: row.order_id,
    bookKey: row.book_key,
    customerId: row.customer_id,
    serviceLevel: row.service_level,
    pieces: row.pieces,
    destination: row.destination ?? undefined,
    status: row.status,
    carrierReference: row.carrier_reference ?? undefined,
    trackingNumber: row.tracking_number,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
