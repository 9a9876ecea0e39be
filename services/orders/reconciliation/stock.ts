import {
  type InventoryService,
  type Reservation,
  ReservationStatus,
  ReservationStatusSchema,
} from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { Client } from "#kit/rpc/client.ts";
import { keptLines } from "../cancellation.ts";
import { type EndedOrder, idsOf, judgeEach, type OrderJudge } from "./judge.ts";

/**
 * A confirmed order's reservation became a sale of its lines, of which its returns are in stock again; a cancelled one sets nothing
 * aside any more, and has all back that it had bought.
 */
export const judgeStock =
  (inventory: Client<typeof InventoryService>): OrderJudge =>
  async (orders) => {
    const { reservations } = await inventory.batchGetReservations({ orderIds: idsOf(orders) });
    return judgeEach(orders, reservations, (order, [held]) =>
      order.outcome === "confirmed" ? confirmedComplaints(order, held) : cancelledComplaints(order, held),
    );
  };

function confirmedComplaints(order: EndedOrder, held: Reservation | undefined) {
  const sold = held?.status === ReservationStatus.COMMITTED && held.reservationId === order.reservationId;
  return [
    !sold && `confirmed, but its reservation ${order.reservationId} is ${statusOf(held)}`,
    sold &&
      piecesOf(held.lines) !== piecesOf(order.lines) &&
      `ordered ${piecesOf(order.lines)}, sold ${piecesOf(held.lines)}`,
    sold && backComplaint(returnedOf(order), held.returned),
  ];
}

/** An order that was cancelled after it had been confirmed knows its reservation. */
const cancelledComplaints = (order: EndedOrder, held: Reservation | undefined) => [
  held?.status === ReservationStatus.HELD && `cancelled, but ${piecesOf(held.lines)} is still set aside`,
  held?.status === ReservationStatus.COMMITTED &&
    order.reservationId === "" &&
    `cancelled, but ${piecesOf(held.lines)} was sold`,
  held?.status === ReservationStatus.COMMITTED &&
    order.reservationId !== "" &&
    backComplaint([...returnedOf(order), ...keptLines(order)], held.returned),
];

/** What returns have put back on sale. */
const returnedOf = ({ refunds }: EndedOrder) =>
  refunds
    .filter(({ kind, status, unsellable }) => kind === "return" && status === "completed" && !unsellable)
    .flatMap(({ lines }) => lines);

const backComplaint = (due: Pieces, back: Pieces) =>
  piecesOf(due) !== piecesOf(back) &&
  `${piecesOf(due) || "nothing"} should be back in stock, ${piecesOf(back) || "nothing"} is`;

const statusOf = (held: Reservation | undefined) =>
  held ? ReservationStatusSchema.value[held.status]?.localName.toLowerCase() : "missing";

type Pieces = readonly { readonly sku: string; readonly quantity: number }[];

function piecesOf(lines: Pieces): string {
  const quantities = new Map<string, number>();
  for (const { sku, quantity } of lines) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
  return [...quantities]
    .map(([sku, quantity]) => `${quantity} × ${sku}`)
    .sort()
    .join(", ");
}
