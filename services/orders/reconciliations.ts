import type { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import type { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { lowestId } from "#kit/ids/ids.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { idPages, type Reconciliation, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import type { Client } from "#kit/rpc/client.ts";
import { type OrderAudit, readOrderAudits, readOrderIds } from "./order-audit-store.ts";
import { judgeEvents } from "./reconciliation/events.ts";
import type { EndedOrder, OrderJudge } from "./reconciliation/judge.ts";
import { judgePayments } from "./reconciliation/payments.ts";
import { judgeSagas } from "./reconciliation/sagas.ts";
import { judgeShipments } from "./reconciliation/shipments.ts";
import { judgeStock } from "./reconciliation/stock.ts";

/** What orders are compared with. */
export interface OrderReconciliationParts {
  readonly db: Database;
  readonly inventory: Client<typeof InventoryService>;
  readonly payments: Client<typeof PaymentsService>;
  readonly shipping: Client<typeof ShippingService>;
}

const everyMs = 60_000;

/**
 * What orders compares: an order with its own history and sagas, and, once it has ended, with what the participants hold for it.
 * Orders asks, since it alone knows what should be there.
 */
export const orderReconciliations = (parts: OrderReconciliationParts): Reconciliation[] => [
  compareOrders(parts.db, "orders-with-events", (audits) => judgeEvents(audits)),
  compareOrders(parts.db, "orders-with-sagas", (audits) => judgeSagas(parts.db, audits)),
  compareOrders(parts.db, "orders-with-payments", onlyEnded(judgePayments(parts.payments))),
  compareOrders(parts.db, "orders-with-stock", onlyEnded(judgeStock(parts.inventory))),
  compareOrders(parts.db, "orders-with-shipments", onlyEnded(judgeShipments(parts.shipping))),
];

type Judge = (audits: readonly OrderAudit[]) => Promise<readonly Verdict[]> | readonly Verdict[];

function compareOrders(db: Database, name: string, judge: Judge): Reconciliation {
  return {
    name,
    everyMs,
    subjects: ({ since }) =>
      idPages(since ? lowestId("order", since) : "", (after, limit) => readOrderIds(db, after, limit)),
    async judge(orderIds: readonly string[], { graceMs }: Scope) {
      const audits = await readOrderAudits(db, orderIds, graceMs);
      return await judge(audits.filter(({ atRest }) => atRest));
    },
  };
}

/** Asks about orders that have come to an end, in one call; what is under way is left to a later run. */
const onlyEnded =
  (judge: OrderJudge): Judge =>
  async (audits) => {
    const ended = audits.flatMap(({ order }) => (order && hasEnded(order) ? [order] : []));
    const gone = audits.filter(({ order }) => order === undefined);
    return [
      ...(ended.length > 0 ? await judge(ended) : []),
      // Nothing can be said of an order without events; that it has none is said by `orders-with-events`.
      ...gone.map(({ orderId }) => ({ subjectId: orderId, discrepancy: undefined })),
    ];
  };

const hasEnded = (order: NonNullable<OrderAudit["order"]>): order is EndedOrder =>
  order.status === "confirmed" || order.status === "cancelled" || order.status === "refunded";
