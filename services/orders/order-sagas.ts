import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import type { Resources } from "#kit/service/service.ts";
import { type CancelInput, cancelSaga, toCancelInput } from "./cancel-saga.ts";
import { type CheckoutInput, type CheckoutParticipants, checkoutSaga } from "./checkout-saga.ts";
import { checkoutProgress, orderProgress } from "./messages.ts";
import type { Order } from "./order.ts";
import type { OrderWatch } from "./order-watch.ts";
import { type ReturnInput, refundSaga, returnSaga } from "./refund-sagas.ts";
import type { PaidBack } from "./saga-steps.ts";

/** The sagas an order can go through. */
export interface OrderSagas {
  readonly checkout: SagaDefinition<CheckoutInput>;
  readonly cancel: SagaDefinition<CancelInput>;
  readonly return: SagaDefinition<ReturnInput>;
  readonly refund: SagaDefinition<PaidBack>;
}

/** Makes the sagas, and has watchers told of what becomes of orders. */
export function createOrderSagas(
  clients: CheckoutParticipants,
  watch: OrderWatch,
  startSaga: Resources["startSaga"],
): OrderSagas {
  const tell = (tx: Transaction, order: Order) => tx.afterCommit(() => watch.publish(orderProgress(order)));
  const cancel = cancelSaga(clients, tell);
  const checkout = checkoutSaga(clients, {
    onTransition(saga) {
      if (isUnderWay(saga)) watch.publish(checkoutProgress(saga));
    },
    onEnded(tx, { sagaId, correlationId }, order) {
      tell(tx, order);
      // Somebody asked to cancel while the money was being taken.
      if (order.status !== "cancelling") return;
      startSaga(tx, cancel, {
        subjectId: order.orderId,
        correlationId,
        input: toCancelInput(order, sagaId),
      });
    },
  });
  return { checkout, cancel, return: returnSaga(clients, tell), refund: refundSaga(clients, tell) };
}

const isUnderWay = ({ status }: Saga<unknown>) => status !== "completed" && status !== "compensated";
