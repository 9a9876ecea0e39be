import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import type { CheckoutParticipants } from "./checkout-saga.ts";
import type { Order, Refund } from "./order.ts";
import { updateLockedOrder } from "./order-store.ts";
import { completeRefund, refuseRefund } from "./refund.ts";
import {
  appendEvent,
  type OnEnded,
  type PaidBack,
  type Restocked,
  refundStep,
  restockStep,
} from "./saga-steps.ts";

/** What a return needs to know. */
export type ReturnInput = PaidBack & Restocked;

/** A return: money first, then stock. It is decided by the refund, which payments may refuse. */
export const returnSaga = (
  { payments, inventory }: Pick<CheckoutParticipants, "payments" | "inventory">,
  onEnded: OnEnded,
): SagaDefinition<ReturnInput> => ({
  name: "return",
  version: 1,
  steps: [refundStep(payments), restockStep(inventory)],
  ...ends(onEnded),
});

/** A refund without a return: money only. */
export const refundSaga = (
  { payments }: Pick<CheckoutParticipants, "payments">,
  onEnded: OnEnded,
): SagaDefinition<PaidBack> => ({
  name: "refund",
  version: 1,
  steps: [refundStep(payments)],
  ...ends(onEnded),
});

const ends = (onEnded: OnEnded) => ({
  async onCompleted(tx: Transaction, saga: Saga<PaidBack>) {
    const { refundId } = saga.input;
    onEnded(tx, await appendEvent(tx, saga, updateLockedOrder, (order) => completeRefund(order, refundId)));
  },
  async onCompensated(tx: Transaction, saga: Saga<PaidBack>) {
    const { refundId } = saga.input;
    const reason = saga.failure?.reason ?? "";
    const decide = (order: Order) => refuseRefund(order, refundId, reason);
    onEnded(tx, await appendEvent(tx, saga, updateLockedOrder, decide));
  },
});

/** What a refund's saga begins with. */
export const toPaidBack = ({ paymentId }: Order, { refundId, amount }: Refund): PaidBack => ({
  paymentId,
  refundId,
  amount: { currencyCode: amount.currencyCode, amountMinor: String(amount.amountMinor) },
});

/** What a return's saga begins with. */
export const toReturnInput = (order: Order, refund: Refund): ReturnInput => ({
  ...toPaidBack(order, refund),
  reservationId: order.reservationId,
  lines: refund.unsellable ? [] : refund.lines.map(({ sku, quantity }) => ({ sku, quantity })),
});
