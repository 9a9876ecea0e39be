import {
  type InventoryService,
  type Reservation,
  ReservationStatus,
  ReservationStatusSchema,
} from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { Client } from "#kit/rpc/client.ts";
import { type EndedOrder, idsOf, judgeEach, type OrderJudge } from "./judge.ts";

/** A confirmed order's reservation became a sale of its lines; a cancelled one sets nothing aside any more. */
export const judgeStock =
  (inventory: Client<typeof InventoryService>): OrderJudge =>
  async (orders) => {
    const { reservations } = await inventory.batchGetReservations({ orderIds: idsOf(orders) });
    return judgeEach(orders, reservations, (order, [held]) =>
      order.status === "confirmed" ? confirmedComplaints(order, held) : cancelledComplaints(order, held),
    );
  };

function confirmedComplaints(order: EndedOrder, held: Reservation | undefined) {
  const sold = held?.status === ReservationStatus.COMMITTED && held.reservationId === order.reservationId;
  return [
    !sold && `confirmed, but its reservation ${order.reservationId} is ${statusOf(held)}`,
    sold &&
      piecesOf(held.lines) !== piecesOf(order.lines) &&
      `ordered ${piecesOf(order.lines)}, sold ${piecesOf(held.lines)}`,
  ];
}

/** An order that was cancelled after it had been confirmed knows its reservation: what it had bought came back by movements. */
const cancelledComplaints = ({ reservationId }: EndedOrder, held: Reservation | undefined) => [
  held?.status === ReservationStatus.HELD && `cancelled, but ${piecesOf(held.lines)} is still set aside`,
  held?.status === ReservationStatus.COMMITTED &&
    reservationId === "" &&
    `cancelled, but ${piecesOf(held.lines)} was sold`,
];

const statusOf = (held: Reservation | undefined) =>
  held ? ReservationStatusSchema.value[held.status]?.localName.toLowerCase() : "missing";

function piecesOf(lines: readonly { readonly sku: string; readonly quantity: number }[]): string {
  const quantities = new Map<string, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  return [...quantities]
    .map(([sku, quantity]) => `${quantity} × ${sku}`)
    .sort()
    .join(", ");
}
