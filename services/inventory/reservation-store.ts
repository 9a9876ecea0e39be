import { isUniqueViolation, type Transaction } from "#kit/postgres/postgres.ts";
import {
  orderAlreadyReserved,
  outOfStock,
  type Reservation,
  type ReservationStatus,
  reservationLifetimeMs,
  type StockLine,
} from "./reservation.ts";
import { type ChangeRow, type ReservationRow, toChanges, toReservation } from "./reservation-rows.ts";
import {
  commitHeldReservations,
  expireReservations,
  insertReservation,
  releaseReservation,
  retakeReservation,
} from "./reservation-statements.ts";
import type { AvailabilityChange } from "./stock.ts";

/** A reservation after a change, and what that did to the stock of its SKUs. */
export interface ReservationChange {
  readonly reservation: Reservation;
  readonly statusBefore: ReservationStatus;
  readonly changes: readonly AvailabilityChange[];
}

/**
 * Sets all lines aside or none; `lines` are merged lines in their order.
 * @throws ServiceError OUT_OF_STOCK naming the first SKU that is short, ORDER_ALREADY_RESERVED.
 */
export async function reserve(
  tx: Transaction,
  wanted: { orderId: string; reservationId: string; lines: readonly StockLine[] },
): Promise<{ reservation: Reservation; changes: AvailabilityChange[] }> {
  const rows = await insertRows(tx, wanted);
  const [first] = rows;
  if (!first || first.short_sku !== null) throw outOfStock(first?.short_sku ?? "");
  const reservation: Reservation = { ...wanted, status: "held", expiresAt: first.expires_at, version: 1n };
  return { reservation, changes: toChanges(rows) };
}

async function insertRows(
  tx: Transaction,
  { orderId, reservationId, lines }: { orderId: string; reservationId: string; lines: readonly StockLine[] },
) {
  const skus = lines.map((line) => line.sku);
  const quantities = lines.map((line) => line.quantity);
  try {
    const values = [orderId, reservationId, skus, quantities, reservationLifetimeMs];
    return await tx.query<InsertedRow>(insertReservation, values);
  } catch (error) {
    throw isUniqueViolation(error, "reservations_pkey") ? orderAlreadyReserved(orderId) : error;
  }
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

/** Takes the held pieces of confirmed orders out of the warehouse; reservations that were not held come back as they are. */
export async function commitHeld(
  tx: Transaction,
  orders: readonly ConfirmedOrder[],
): Promise<Map<string, ReservationChange>> {
  const values = [orders.map((order) => order.orderId), orders.map((order) => order.reservationId)];
  const rows = await tx.query<EndedRow>(commitHeldReservations, values);
  return new Map(rows.map((row) => [row.order_id, toCommitted(row)]));
}

function toCommitted(row: EndedRow): ReservationChange {
  const statusBefore = row.status_before;
  const reservation = toReservation(row, statusBefore === "held" ? "committed" : statusBefore);
  return { reservation, statusBefore, changes: [] };
}

/** An attempt to sell pieces that had gone back to stock; `shortSkus` names those of which too few were left. */
export interface Retake extends ReservationChange {
  readonly shortSkus: readonly string[];
}

/** Takes the pieces of an ended reservation again, all or none; undefined where the order has no such reservation. */
export async function retake(tx: Transaction, orderId: string): Promise<Retake | undefined> {
  const rows = await tx.query<EndedRow & ChangeRow & { short_skus: string[] }>(retakeReservation, [orderId]);
  const [first] = rows;
  if (!first) return undefined;
  const { status_before: statusBefore, short_skus: shortSkus } = first;
  const reservation = toReservation(first, shortSkus.length > 0 ? statusBefore : "committed");
  return { reservation, statusBefore, shortSkus, changes: toChanges(rows) };
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

interface InsertedRow extends ChangeRow {
  readonly short_sku: string | null;
  readonly expires_at: Date;
}

interface EndedRow extends ReservationRow {
  readonly status_before: ReservationStatus;
}
