import { planted } from "#kit/failpoints/planted.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Queryable, Statement, Transaction } from "#kit/postgres/postgres.ts";
import {
  orderAlreadyReserved,
  type Reservation,
  type ReservationStatus,
  reservationCancelled,
  reservationLifetimeMs,
  type StockLine,
} from "./reservation.ts";
import {
  type ChangeRow,
  type ReservationRow,
  toChanges,
  toLines,
  toReservation,
} from "./reservation-rows.ts";
import {
  commitReservations,
  expireReservations,
  extendReservation,
  insertReleaseAhead,
  insertReservation,
  insertUnheldReservation,
  releaseReservation,
  reserveTogether,
  selectReservations,
  type WantedReservation,
} from "./reservation-statements.ts";
import type { AvailabilityChange } from "./stock.ts";

/** A reservation after a change, and what that did to the stock of its SKUs. */
export interface ReservationChange {
  readonly reservation: Reservation;
  readonly statusBefore: ReservationStatus;
  readonly changes: readonly AvailabilityChange[];
}

/** A reservation that was made, or the first SKU of which there are too few pieces. */
export type Reserved =
  | { readonly reservation: Reservation; readonly changes: readonly AvailabilityChange[] }
  | { readonly shortSku: string };

/**
 * Sets all lines aside or, where one is short, none.
 * @throws ServiceError ORDER_ALREADY_RESERVED, COMMAND_CANCELLED where the release came first.
 */
export async function reserve(tx: Transaction, wanted: WantedReservation): Promise<Reserved> {
  const cached = planted("cached-stock");
  const rows = cached ? [] : await tx.queryEach<MadeRow, WantedReservation>(reserveTogether, wanted);
  const [made] = rows;
  if (made) return toReserved(wanted, made, rows);
  return await reserveAlone(tx, wanted, cached ? insertUnheldReservation : insertReservation);
}

async function reserveAlone(tx: Transaction, wanted: WantedReservation, insert: Statement) {
  const { orderId, reservationId, lines } = wanted;
  const skus = lines.map((line) => line.sku);
  const quantities = lines.map((line) => line.quantity);
  const values = [orderId, reservationId, skus, quantities, reservationLifetimeMs];
  const rows = await tx.query<InsertedRow>(insert, values);
  const [first] = rows;
  if (!first) throw await whyBarred(tx, orderId);
  return first.short_sku === null ? toReserved(wanted, first, rows) : { shortSku: first.short_sku };
}

function toReserved(wanted: WantedReservation, made: MadeRow, rows: readonly ChangeRow[]): Reserved {
  const reservation: Reservation = { ...wanted, status: "held", expiresAt: made.expires_at, version: 1n };
  return { reservation, changes: toChanges(rows) };
}

async function whyBarred(tx: Transaction, orderId: string) {
  const [reservation] = await readReservations(tx, [orderId]);
  return reservation ? orderAlreadyReserved(orderId) : reservationCancelled();
}

/** A reservation, and what came back after it was sold. */
export interface ReservationRecord extends Reservation {
  readonly returned: readonly StockLine[];
}

/** Reads the reservations of some orders. */
export async function readReservations(
  source: Queryable,
  orderIds: readonly string[],
): Promise<ReservationRecord[]> {
  const rows = await source.query<RecordRow>(selectReservations, [orderIds]);
  return rows.map((row) => {
    const returned = toLines({ skus: row.returned_skus, quantities: row.returned_quantities });
    return { ...toReservation(row, row.status), returned };
  });
}

/** Keeps a held reservation for its whole lifetime from now; undefined where the order has none that is held. */
export async function extend(tx: Transaction, orderId: string): Promise<Reservation | undefined> {
  const [row] = await tx.query<ReservationRow>(extendReservation, [orderId, reservationLifetimeMs]);
  return row && toReservation(row, "held");
}

/**
 * Bars the reservation of an order that has none yet, for good. Comes first in its transaction: a reservation that is just being
 * made ends before this does.
 */
export async function releaseAhead(tx: Transaction, orderId: string): Promise<void> {
  if (planted("release-without-tombstone")) return;
  await tx.query(insertReleaseAhead, [orderId, newId("reservation")]);
}

/** Returns held pieces to stock; undefined where the order has no reservation, no changes where it had ended. */
export async function release(tx: Transaction, orderId: string): Promise<ReservationChange | undefined> {
  const rows = await tx.query<EndedRow & ChangeRow>(releaseReservation, [orderId]);
  const [first] = rows;
  if (!first) return undefined;
  const statusBefore = first.status_before;
  const reservation = toReservation(first, statusBefore === "held" ? "released" : statusBefore);
  return { reservation, statusBefore, changes: toChanges(rows) };
}

/** An order whose confirmation turns its reservation into a sale. */
export interface ConfirmedOrder {
  readonly orderId: string;
  readonly reservationId: string;
}

/** What became of a confirmed order's reservation. */
export interface Sale {
  readonly reservation: Reservation;
  readonly statusBefore: ReservationStatus;
  /** Where the reservation had ended: those of its SKUs of which too few pieces are left. Then nothing was sold. */
  readonly shortSkus: readonly string[];
}

/** Takes the pieces of confirmed orders out of the warehouse. Orders without such a reservation are left out. */
export async function commit(
  tx: Transaction,
  orders: readonly ConfirmedOrder[],
): Promise<{ sales: Map<string, Sale>; changes: AvailabilityChange[] }> {
  const values = [orders.map((order) => order.orderId), orders.map((order) => order.reservationId)];
  const rows = await tx.query<(CommittedRow | { order_id: null }) & ChangeRow>(commitReservations, values);
  const sales = rows.flatMap((row) => (row.order_id === null ? [] : [[row.order_id, toSale(row)] as const]));
  return { sales: new Map(sales), changes: toChanges(rows) };
}

function toSale(row: CommittedRow): Sale {
  const { status_before: statusBefore, short_skus: shortSkus } = row;
  const reservation = toReservation(row, shortSkus.length > 0 ? statusBefore : "committed");
  return { reservation, statusBefore, shortSkus };
}

/** Ends reservations whose time has run out, oldest first and at most `limit`. */
export async function expire(
  tx: Transaction,
  limit: number,
): Promise<{ reservations: Reservation[]; changes: AvailabilityChange[] }> {
  const rows = await tx.query<(ReservationRow | { order_id: null }) & ChangeRow>(expireReservations, [limit]);
  const reservations = rows.flatMap((row) => (row.order_id === null ? [] : [toReservation(row, "expired")]));
  return { reservations, changes: toChanges(rows) };
}

interface MadeRow extends ChangeRow {
  readonly expires_at: Date;
}

interface InsertedRow extends MadeRow {
  readonly short_sku: string | null;
}

interface RecordRow extends ReservationRow {
  readonly status: ReservationStatus;
  readonly returned_skus: readonly string[];
  readonly returned_quantities: readonly number[];
}

interface EndedRow extends ReservationRow {
  readonly status_before: ReservationStatus;
}

interface CommittedRow extends EndedRow {
  readonly short_skus: readonly string[];
}
