import type { Queryable } from "#kit/postgres/postgres.ts";
import type { Verdict } from "#kit/reconciliation/definition.ts";
import { sagaHasEnded, sagasAbout } from "#kit/saga/watch.ts";
import type { Order } from "../order.ts";
import type { OrderAudit } from "../order-audit-store.ts";

/** An order on its way has a saga that drives it; one that has come to rest has none any more. */
export async function judgeSagas(source: Queryable, audits: readonly OrderAudit[]): Promise<Verdict[]> {
  const sagas = await sagasAbout(
    source,
    audits.map(({ orderId }) => orderId),
  );
  const driven = new Set(sagas.filter((saga) => !sagaHasEnded(saga)).map(({ subjectId }) => subjectId));
  return audits.map(({ orderId, order }) => ({
    subjectId: orderId,
    discrepancy: order && complaint(order, driven.has(orderId)),
  }));
}

const resting: ReadonlySet<Order["status"]> = new Set(["confirmed", "cancelled", "refunded"]);

function complaint({ status }: Order, isDriven: boolean): string | undefined {
  if (resting.has(status)) return isDriven ? `it is ${status}, and a saga is still driving it` : undefined;
  return isDriven ? undefined : `it is ${status}, and no saga drives it`;
}
