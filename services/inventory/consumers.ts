import { OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { type Consumer, type EventContext, on } from "#kit/inbox/inbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { announceCommitted } from "./announcements.ts";
import { createOrderCommits } from "./order-commits.ts";
import type { ConfirmedOrder } from "./reservation-store.ts";

/** Inventory's reactions to other services' events. */
export function inventoryConsumers({ log }: { readonly log: Logger }): Consumer[] {
  const commits = createOrderCommits();
  return [
    on(OrderConfirmedSchema, {
      // An order is confirmed once.
      anyOrder: true,
      async apply(tx, { orderId, reservationId }, context) {
        const announcing = { tx, cause: causeOf(context) };
        const order = { orderId, reservationId };
        const sale = await commits.commit(announcing, order);
        if (!sale) return reportOversell(tx, log, order, "there is no such reservation");
        if (sale.shortSkus.length > 0) return reportOversell(tx, log, order, "oversell", sale.shortSkus);
        if (sale.statusBefore !== "committed") announceCommitted(announcing, sale.reservation);
      },
    }),
  ];
}

/** A confirmed order without goods needs a person: it is paid, and stock never goes negative to please it. */
function reportOversell(
  tx: Transaction,
  log: Logger,
  order: ConfirmedOrder,
  finding: string,
  skus: readonly string[] = [],
) {
  tx.afterCommit(() => log.error({ ...order, finding, skus }, "a confirmed order has no goods set aside"));
}

const causeOf = ({ eventId, correlationId, traceparent }: EventContext) => ({
  correlationId,
  causationId: eventId,
  traceparent,
});
