import { OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { type Consumer, type EventContext, on } from "#kit/inbox/inbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { type Announcing, announceCommitted, announceThresholds } from "./announcements.ts";
import { createOrderCommits } from "./order-commits.ts";
import type { Reservation } from "./reservation.ts";
import { retake } from "./reservation-store.ts";

/** What the reactions work with. */
export interface InventoryConsumerOptions {
  readonly log: Logger;
}

/** Inventory's reactions to other services' events. */
export function inventoryConsumers({ log }: InventoryConsumerOptions): Consumer[] {
  const commits = createOrderCommits();
  return [
    on(OrderConfirmedSchema, {
      async apply(tx, { orderId, reservationId }, context) {
        const committed = await commits.commit(tx, { orderId, reservationId });
        const announcing = { tx, cause: causeOf(context) };
        if (!committed)
          return reportAfterCommit(tx, log, { orderId, reservationId, finding: "no reservation" });
        if (committed.statusBefore === "held") return announceCommitted(announcing, committed.reservation);
        if (committed.statusBefore === "committed") return;
        await sellFromAvailable(announcing, committed.reservation, log);
      },
    }),
  ];
}

/** The reservation had ended when its order was confirmed: its pieces may be gone by now. */
async function sellFromAvailable(
  announcing: Announcing,
  { orderId, reservationId }: Reservation,
  log: Logger,
) {
  const { tx } = announcing;
  const retaken = await retake(tx, orderId);
  if (!retaken) return;
  if (retaken.shortSkus.length > 0) {
    reportAfterCommit(tx, log, { orderId, reservationId, finding: "oversell", skus: retaken.shortSkus });
    return;
  }
  announceCommitted(announcing, retaken.reservation);
  announceThresholds(announcing, retaken.changes);
}

/** A confirmed order without goods needs a person: it is paid, and stock never goes negative to please it. */
function reportAfterCommit(tx: Transaction, log: Logger, finding: Record<string, unknown>) {
  tx.afterCommit(() => log.error(finding, "a confirmed order has no stock"));
}

const causeOf = ({ eventId, correlationId, traceparent }: EventContext) => ({
  correlationId,
  causationId: eventId,
  traceparent,
});
