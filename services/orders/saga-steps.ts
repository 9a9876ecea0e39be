// What the sagas of orders have in common: how they call, pay back, and write down what became of the order.
import type { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import type { Saga, SagaStep, StepCall } from "#kit/saga/definition.ts";
import { placeOf, toAnnouncement } from "./messages.ts";
import type { Order, OrderEvent } from "./order.ts";
import type { Decide, updateOrder } from "./order-store.ts";

/** In the transaction that records a saga's end: the order as it is then. */
export type OnEnded = (tx: Transaction, order: Order) => void;

/** A step's call as clients take it. */
export const callOptions = ({ key, timeoutMs, correlationId }: StepCall) => ({
  idempotencyKey: key,
  timeoutMs,
  correlationId,
});

/** Appends what a saga's end means to its order, and announces it. */
export async function appendEvent(
  tx: Transaction,
  { subjectId, correlationId, sagaId }: Saga<unknown>,
  update: typeof updateOrder,
  decide: Decide,
): Promise<Order> {
  let decided: OrderEvent | undefined;
  const order = await update(tx, subjectId, (before) => {
    decided = decide(before);
    return decided;
  });
  if (!decided) return order;
  const [schema, message] = toAnnouncement(order, decided);
  announce(tx, schema, message, { ...placeOf(order), correlationId, causationId: sagaId });
  return order;
}

/** Pieces that go back into stock. */
export interface Restocked {
  readonly reservationId: string;
  /** None where nothing goes back on sale. */
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** Puts sold pieces back into stock. It follows a pivot, so it is repeated until it is done. */
export const restockStep = (inventory: Client<typeof InventoryService>): SagaStep<Restocked> => ({
  name: "restock",
  attemptTimeoutMs: 5_000,
  budgetMs: 30_000,
  do: async ({ subjectId: orderId, input: { reservationId, lines } }, call) => {
    if (lines.length === 0) return {};
    const pieces = lines.map(({ sku, quantity }) => ({ sku, quantity }));
    await inventory.returnStock({ orderId, reservationId, lines: pieces }, callOptions(call));
    return {};
  },
});

/** Money that goes back; the amount as text, since the saga's row is JSON. */
export interface PaidBack {
  readonly paymentId: string;
  readonly refundId: string;
  readonly amount: { readonly currencyCode: string; readonly amountMinor: string };
}

/**
 * Pays an amount back. With it a return or refund is decided: an unknown outcome is asked for until it is known, and a
 * refusal ends the saga with nothing done.
 */
export const refundStep = (payments: Client<typeof PaymentsService>): SagaStep<PaidBack> => ({
  name: "refund",
  pivot: true,
  attemptTimeoutMs: 8_000,
  budgetMs: 30_000,
  do: async ({ input: { paymentId, refundId, amount } }, call) => {
    const amountMinor = BigInt(amount.amountMinor);
    // Pieces whose money went back before come back for nothing.
    if (amountMinor === 0n) return {};
    await payments.refundPayment(
      { paymentId, amount: { ...amount, amountMinor }, note: refundId },
      callOptions(call),
    );
    return {};
  },
});
