import { equals, fromBinary } from "@bufbuild/protobuf";
import { OrderSchema } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Verdict } from "#kit/reconciliation/definition.ts";
import { toOrder } from "../messages.ts";
import type { Order } from "../order.ts";
import type { OrderAudit } from "../order-audit-store.ts";

/** The view of an order is what its events amount to. */
export const judgeEvents = (audits: readonly OrderAudit[]): Verdict[] =>
  audits.map((audit) => ({ subjectId: audit.orderId, discrepancy: complaint(audit) }));

function complaint({ order, view }: OrderAudit): string | undefined {
  if (!view) return order && "it has events and no view";
  if (!order) return "it has a view, and no events that amount to an order";
  if (view.status !== order.status) return `its events make it ${order.status}, its view says ${view.status}`;
  if (view.version !== order.version)
    return `its events make version ${order.version}, its view has ${view.version}`;
  return sameDocument(order, view.document) ? undefined : "its view shows other facts than its events";
}

/** Compared as messages: bytes that another version of this service wrote may say the same in another way. */
function sameDocument(order: Order, document: Uint8Array): boolean {
  try {
    return equals(OrderSchema, fromBinary(OrderSchema, document), toOrder(order));
  } catch {
    return false;
  }
}
