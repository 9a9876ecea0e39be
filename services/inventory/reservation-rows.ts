import type { Reservation, ReservationStatus, StockLine } from "./reservation.ts";
import type { AvailabilityChange } from "./stock.ts";

/** A stock row after a change; all null where a row of the answer is about something else. */
export interface ChangeRow {
  readonly sku: string | null;
  readonly available: number;
  readonly delta: number;
  readonly low_threshold: number;
  readonly version: bigint;
}

/** A reservation as the statements return it. */
export interface ReservationRow {
  readonly order_id: string;
  readonly reservation_id: string;
  readonly skus: readonly string[];
  readonly quantities: readonly number[];
  readonly expires_at: Date;
  readonly reservation_version: bigint;
}

/** The availability changes among the rows of an answer. */
export function toChanges(rows: readonly ChangeRow[]): AvailabilityChange[] {
  return rows.flatMap(({ sku, available, delta, low_threshold, version }) =>
    sku === null ? [] : [{ sku, available, availableDelta: delta, lowThreshold: low_threshold, version }],
  );
}

/** A reservation and where it stands now. */
export const toReservation = (row: ReservationRow, status: ReservationStatus): Reservation => ({
  orderId: row.order_id,
  reservationId: row.reservation_id,
  status,
  lines: toLines(row),
  expiresAt: row.expires_at,
  version: row.reservation_version,
});

/** Lines as the tables have them: two columns of one length. */
export const toLines = ({ skus, quantities }: Pick<ReservationRow, "skus" | "quantities">): StockLine[] =>
  skus.map((sku, index) => ({ sku, quantity: quantities[index] ?? 0 }));
