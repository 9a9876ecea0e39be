import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { isRetryable } from "#kit/errors/errors.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command } from "#kit/service/handlers.ts";
import { toCancelInput } from "../cancel-saga.ts";
import { alreadyDispatched, customerCancelled, requestCancellation } from "../cancellation.ts";
import { orderProgress, toOrderMessage } from "../messages.ts";
import { readView } from "../order-store.ts";
import type { OrderView } from "../order-view.ts";
import { change, type OrdersParts, owned } from "./parts.ts";

/**
 * Cancels. Checkout is turned round where it is not being decided; where it is, the request stands in the order's history and is
 * honoured when checkout confirms it. A confirmed order is given back by a saga of its own.
 */
export const cancelOrder = (parts: OrdersParts) =>
  command(OrdersService.method.cancelOrder, {
    async prepare({ orderId }, call) {
      const view = owned(await readView(parts.db, orderId), orderId, call);
      await refuseDispatched(parts, view, call);
      const checkout = await parts.findSaga(parts.sagas.checkout, orderId);
      return { checkoutSagaId: checkout?.sagaId ?? "" };
    },
    async apply(tx, { orderId }, call, { checkoutSagaId }) {
      const { sagas, watch, startSaga, turnSagaBack } = parts;
      // First, since it orders this with checkout's end: what the order's history then says is final.
      await turnSagaBack(tx, sagas.checkout, orderId, {
        reason: customerCancelled,
        message: "The order was cancelled.",
      });
      const { order, event } = await change(tx, orderId, call, requestCancellation);
      if (event && order.outcome === "confirmed") {
        const input = toCancelInput(order, checkoutSagaId);
        startSaga(tx, sagas.cancel, { subjectId: orderId, correlationId: call.correlationId, input });
      }
      tx.afterCommit(() => watch.publish(orderProgress(order)));
      const after = owned(await readView(tx, orderId), orderId, call);
      return { order: toOrderMessage(after, undefined) };
    },
  });

/**
 * A courtesy: the saga would be refused too, but only after the customer was told that it will be tried. So it does not
 * matter where nobody can tell.
 */
async function refuseDispatched({ shipping, db }: OrdersParts, view: OrderView, call: Call) {
  if (view.status !== "confirmed") return;
  const { shipmentId } = toOrderMessage(view, undefined);
  const answer = await shipping.checkDispatch({ shipmentId }, { call }).catch((error: unknown) => {
    if (!isRetryable(error)) throw error;
  });
  if (!answer?.dispatched) return;
  // Cancelled meanwhile by somebody else? Then that is what it is.
  const now = await readView(db, view.orderId);
  if (now?.status === "confirmed") throw alreadyDispatched(view.orderId);
}
