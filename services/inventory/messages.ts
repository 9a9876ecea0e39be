import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { fromUUID } from "typeid-js";
import {
  type MovementSchema,
  type ReservationSchema,
  type StockSchema,
  MovementReason as WireReason,
  ReservationStatus as WireStatus,
} from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { Reservation, ReservationStatus, StockLine } from "./reservation.ts";
import { availablePieces, type Movement, type MovementReason, type Stock } from "./stock.ts";

const wireStatuses: Record<ReservationStatus, WireStatus> = {
  held: WireStatus.HELD,
  released: WireStatus.RELEASED,
  committed: WireStatus.COMMITTED,
  expired: WireStatus.EXPIRED,
};

const wireReasons: Record<MovementReason, WireReason> = {
  received: WireReason.RECEIVED,
  damaged: WireReason.DAMAGED,
  counted: WireReason.COUNTED,
  sold: WireReason.SOLD,
  returned: WireReason.RETURNED,
};

/** Stock as callers see it. */
export const toStockMessage = (stock: Stock): MessageInitShape<typeof StockSchema> => ({
  sku: stock.sku,
  onHand: stock.onHand,
  reserved: stock.reserved,
  available: availablePieces(stock),
  updatedAt: timestampFromDate(stock.updatedAt),
});

/** A movement as callers see it. */
export const toMovementMessage = (movement: Movement): MessageInitShape<typeof MovementSchema> => ({
  movementId: fromUUID(movement.movementUuid, "movement"),
  sku: movement.sku,
  quantity: movement.quantity,
  reason: wireReasons[movement.reason],
  note: movement.note,
  orderId: movement.orderId ?? "",
  occurredAt: timestampFromDate(movement.occurredAt),
});

/** A reservation as callers see it; with what came back of it where that is known. */
export const toReservationMessage = (
  reservation: Reservation & { readonly returned?: readonly StockLine[] },
): MessageInitShape<typeof ReservationSchema> => ({
  reservationId: reservation.reservationId,
  orderId: reservation.orderId,
  status: wireStatuses[reservation.status],
  lines: [...reservation.lines],
  expiresAt: timestampFromDate(reservation.expiresAt),
  returned: [...(reservation.returned ?? [])],
});

/** The reason of an adjustment. The contract lets only declared ones through, and not the sold one. */
export function fromWireReason(reason: WireReason): MovementReason {
  const found = Object.entries(wireReasons).find(([, wire]) => wire === reason);
  if (!found) throw new Error(`the contract lets through movement reason ${reason}`);
  return found[0] as MovementReason;
}
