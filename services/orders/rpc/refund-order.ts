import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { keyReused } from "#kit/errors/errors.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, query } from "#kit/service/handlers.ts";
import { orderProgress, toOrderMessage } from "../messages.ts";
import type { Order, Refund, RefundAccepted } from "../order.ts";
import { type AskedRefund, checkSameRefund } from "../order-key.ts";
import { readView } from "../order-store.ts";
import { acceptRefund, acceptReturn, refundNotFound, returnNotFound } from "../refund.ts";
import { claimRefundKey } from "../refund-key-store.ts";
import { fromMoney, toRefundMessage, toReturnMessage } from "../refund-messages.ts";
import { toPaidBack, toReturnInput } from "../refund-sagas.ts";
import { change, customerOf, type OrdersParts, owned } from "./parts.ts";

const methods = OrdersService.method;

/** Takes pieces back. What it holds of the order's pieces and money is held from this transaction on. */
export const createReturn = (parts: OrdersParts) =>
  command(methods.createReturn, {
    prepare: ({ orderId }, call) => readOwned(parts, orderId, call),
    async apply(tx, { orderId, lines, unsellable, note }, call) {
      const asked = { refundId: newId("return"), lines, unsellable, note };
      const { order, refund, isNew } = await accept(
        parts,
        { tx, call, orderId, kind: "return", asked },
        (before) => acceptReturn(before, asked),
      );
      if (isNew)
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
      const { order, refund, isNew } = await accept(
        parts,
        { tx, call, orderId, kind: "refund", asked },
        (before) => acceptRefund(before, asked),
      );
      if (isNew)
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

interface Request {
  readonly tx: Transaction;
  readonly call: Call;
  readonly orderId: string;
  readonly kind: Refund["kind"];
  readonly asked: AskedRefund & { readonly refundId: string };
}

/** Accepts what was asked for, unless its key stands for something already: then that, as it is now, has been asked for again. */
async function accept(
  { watch }: OrdersParts,
  { tx, call, orderId, kind, asked }: Request,
  decide: (order: Order) => RefundAccepted,
) {
  const key = { requestedBy: customerOf(call), kind, key: call.idempotencyKey ?? "" };
  const standing = await claimRefundKey(tx, key, { orderId, refundId: asked.refundId });
  if (standing.orderId !== orderId) throw keyReused();
  const isNew = standing.refundId === asked.refundId;
  const { order } = await change(tx, orderId, call, (before) => (isNew ? decide(before) : undefined));
  const refund = order.refunds.find(({ refundId }) => refundId === standing.refundId);
  if (!refund) throw new Error(`a key of ${key.requestedBy} leads to no ${kind} of ${orderId}`);
  if (isNew) tx.afterCommit(() => watch.publish(orderProgress(order)));
  else checkSameRefund(refund, asked);
  return { order, refund, isNew };
}

async function readOwned({ db }: OrdersParts, orderId: string, call: Call) {
  return toOrderMessage(owned(await readView(db, orderId), orderId, call), undefined);
}
