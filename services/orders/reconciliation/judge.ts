import type { Verdict } from "#kit/reconciliation/definition.ts";
import type { Order } from "../order.ts";

/** An order that has come to rest: what its participants should hold for it is known. */
export type EndedOrder = Order & {
  readonly status: "confirmed" | "cancelled" | "refunded";
  readonly outcome: "confirmed" | "cancelled";
};

/** Asks a participant what it holds for some orders, and compares. */
export type OrderJudge = (orders: readonly EndedOrder[]) => Promise<readonly Verdict[]>;

/** Judges each order by what a participant holds for it. */
export function judgeEach<Held extends { readonly orderId: string }>(
  orders: readonly EndedOrder[],
  held: readonly Held[],
  complain: (order: EndedOrder, held: readonly Held[]) => readonly (string | false)[],
): Verdict[] {
  const byOrder = Map.groupBy(held, ({ orderId }) => orderId);
  return orders.map((order) => {
    const complaints = complain(order, byOrder.get(order.orderId) ?? []).filter((one) => one !== false);
    const discrepancy = complaints.length > 0 ? complaints.join("; ") : undefined;
    return { subjectId: order.orderId, discrepancy };
  });
}

/** The orders' ids. */
export const idsOf = (orders: readonly EndedOrder[]): string[] => orders.map(({ orderId }) => orderId);
