import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, query } from "#kit/service/handlers.ts";
import { orderProgress, toOrderMessage } from "../messages.ts";
import type { Order, RefundAccepted } from "../order.ts";
import { readView } from "../order-store.ts";
import { acceptRefund, acceptReturn, refundNotFound, returnNotFound } from "../refund.ts";
import { fromMoney, toRefundMessage, toReturnMessage } from "../refund-messages.ts";
import { toPaidBack, toReturnInput } from "../refund-sagas.ts";
import { change, type OrdersParts, owned } from "./parts.ts";

const methods = OrdersService.method;

/** Takes pieces back. What it holds of the order's pieces and money is held from this transaction on. */
export const createReturn = (parts: OrdersParts) =>
  command(methods.createReturn, {
    prepare: ({ orderId }, call) => readOwned(parts, orderId, call),
    async apply(tx, { orderId, lines, unsellable, note }, call) {
      const asked = { refundId: newId("return"), lines, unsellable, note };
      const { order, refund } = await accept(parts, { tx, call, orderId }, (before) =>
        acceptReturn(before, asked),
      );
      parts.startSaga(tx, parts.sagas.return, {
        subjectId: orderId,
        correlationId: call.correlationId,
        input: toReturnInput(order, refund),
      });
      return { return: toReturnMessage(order, refund) };
    },
  });

/** Pays back without taking pieces back. */
export const createRefund = (parts: OrdersParts) =>
  command(methods.createRefund, {
    prepare: ({ orderId }, call) => readOwned(parts, orderId, call),
    async apply(tx, { orderId, lines, amount, note }, call) {
      const asked = { refundId: newId("refund"), lines, amount: amount && fromMoney(amount), note };
      const { order, refund } = await accept(parts, { tx, call, orderId }, (before) =>
        acceptRefund(before, asked),
      );
      parts.startSaga(tx, parts.sagas.refund, {
        subjectId: orderId,
        correlationId: call.correlationId,
        input: toPaidBack(order, refund),
      });
      return { refund: toRefundMessage(order, refund) };
    },
  });

/** Reads one return. */
export const getReturn = (parts: OrdersParts) =>
  query(methods.getReturn, async ({ orderId, returnId }, call) => {
    const { returns } = await readOwned(parts, orderId, call);
    const found = returns.find((candidate) => candidate.returnId === returnId);
    if (!found) throw returnNotFound(returnId);
    return { return: found };
  });

/** Reads one refund. */
export const getRefund = (parts: OrdersParts) =>
  query(methods.getRefund, async ({ orderId, refundId }, call) => {
    const { refunds } = await readOwned(parts, orderId, call);
    const found = refunds.find((candidate) => candidate.refundId === refundId);
    if (!found) throw refundNotFound(refundId);
    return { refund: found };
  });

/** Lists the returns of one order. */
export const listReturns = (parts: OrdersParts) =>
  query(methods.listReturns, async ({ orderId }, call) => ({
    returns: (await readOwned(parts, orderId, call)).returns,
  }));

/** Lists the refunds of one order. */
export const listRefunds = (parts: OrdersParts) =>
  query(methods.listRefunds, async ({ orderId }, call) => ({
    refunds: (await readOwned(parts, orderId, call)).refunds,
  }));

async function accept(
  { watch }: OrdersParts,
  { tx, call, orderId }: { tx: Transaction; call: Call; orderId: string },
  decide: (order: Order) => RefundAccepted,
) {
  const { order, event } = await change(tx, orderId, call, decide);
  if (!event) throw new Error(`nothing was decided about ${orderId}`);
  tx.afterCommit(() => watch.publish(orderProgress(order)));
  return { order, refund: event.refund };
}

async function readOwned({ db }: OrdersParts, orderId: string, call: Call) {
  return toOrderMessage(owned(await readView(db, orderId), orderId, call), undefined);
}
