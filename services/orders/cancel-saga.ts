import { ServiceError } from "#kit/errors/errors.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import { finishCancellation, keptLines, refuseCancellation } from "./cancellation.ts";
import type { CheckoutParticipants } from "./checkout-saga.ts";
import type { Order } from "./order.ts";
import { updateLockedOrder } from "./order-store.ts";
import { appendEvent, callOptions, type OnEnded, type Restocked, restockStep } from "./saga-steps.ts";

/** What cancelling a confirmed order needs to know. */
export interface CancelInput extends Restocked {
  readonly paymentId: string;
  /** The Idempotency-Key under which checkout booked the shipment. */
  readonly bookKey: string;
}

/**
 * Cancels a confirmed order: shipment, money, stock. The shipment decides: a parcel that has left is not called back, and then
 * nothing else is touched. Once it is cancelled, the rest is repeated until it is done.
 */
export const cancelSaga = (
  { payments, shipping, inventory }: CheckoutParticipants,
  onEnded: OnEnded,
): SagaDefinition<CancelInput> => ({
  name: "cancel",
  version: 1,
  steps: [
    {
      name: "shipment",
      pivot: true,
      attemptTimeoutMs: 5_000,
      budgetMs: 20_000,
      do: async ({ subjectId: orderId, input: { bookKey } }, call) => {
        await shipping.cancelShipment({ orderId, bookKey }, callOptions(call));
        return {};
      },
    },
    {
      name: "refund",
      attemptTimeoutMs: 8_000,
      budgetMs: 30_000,
      // Without an amount: whatever has not been paid back yet.
      do: async ({ input: { paymentId } }, call) => {
        const request = { paymentId, note: "order cancelled" };
        await payments.refundPayment(request, callOptions(call)).catch(unlessNothingIsLeft);
        return {};
      },
    },
    restockStep(inventory),
  ],
  onCompleted: async (tx, saga) =>
    onEnded(tx, await appendEvent(tx, saga, updateLockedOrder, finishCancellation)),
  onCompensated: async (tx, saga) => {
    const decide = (order: Order) => refuseCancellation(order, saga.failure?.reason ?? "");
    onEnded(tx, await appendEvent(tx, saga, updateLockedOrder, decide));
  },
});

/** Somebody has paid all of it back already. */
function unlessNothingIsLeft(error: unknown) {
  const { reason, metadata } = error instanceof ServiceError ? error : {};
  if (reason !== "REFUND_EXCEEDS_CAPTURE" || metadata?.left_minor !== "0") throw error;
}

/** What a cancellation's saga begins with. */
export const toCancelInput = (order: Order, checkoutSagaId: string): CancelInput => ({
  paymentId: order.paymentId,
  reservationId: order.reservationId,
  lines: keptLines(order).map(({ sku, quantity }) => ({ sku, quantity })),
  bookKey: `${checkoutSagaId}:book`,
});
