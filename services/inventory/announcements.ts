import {
  StockCommittedSchema,
  StockLowSchema,
  StockReleasedSchema,
  StockReplenishedSchema,
  StockReservedSchema,
  StockReturnedSchema,
} from "#gen/souk/inventory/v1/events_pb.ts";
import { type Announcement, announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Reservation } from "./reservation.ts";
import { type AvailabilityChange, crossedThreshold } from "./stock.ts";

/** What led to the events of a change. */
export type Cause = Pick<Announcement, "correlationId" | "causationId" | "traceparent">;

/** The transaction that events leave with, and what led to them. */
export interface Announcing {
  readonly tx: Transaction;
  readonly cause: Cause;
}

/** The reservation was made. */
export function announceReserved({ tx, cause }: Announcing, reservation: Reservation) {
  announce(tx, StockReservedSchema, toEvent(reservation), about(cause, reservation));
}

/** The reservation's pieces went back to stock, because the order ended or because time ran out. */
export function announceReleased({ tx, cause }: Announcing, reservation: Reservation) {
  const event = { ...toEvent(reservation), expired: reservation.status === "expired" };
  announce(tx, StockReleasedSchema, event, about(cause, reservation));
}

/** The reservation's pieces were sold. */
export function announceCommitted({ tx, cause }: Announcing, reservation: Reservation) {
  announce(tx, StockCommittedSchema, toEvent(reservation), about(cause, reservation));
}

/** Sold pieces of the reservation came back. */
export function announceReturned({ tx, cause }: Announcing, reservation: Reservation) {
  announce(tx, StockReturnedSchema, toEvent(reservation), about(cause, reservation));
}

/** Says so for each SKU that the change made low, or replenished; most changes announce nothing. */
export function announceThresholds({ tx, cause }: Announcing, changes: readonly AvailabilityChange[]) {
  for (const change of changes) {
    const crossed = crossedThreshold(change);
    if (crossed === undefined) continue;
    const event = crossed === "low" ? StockLowSchema : StockReplenishedSchema;
    const { sku, available, version } = change;
    announce(tx, event, { sku, available }, { ...cause, aggregateVersion: version });
  }
}

const toEvent = ({ reservationId, orderId, lines }: Reservation) => ({
  reservationId,
  orderId,
  lines: [...lines],
});

/** Each version of a reservation is announced by one event. */
const about = (cause: Cause, { version }: Reservation): Announcement => ({
  ...cause,
  aggregateVersion: version,
  previousVersion: version - 1n,
});
