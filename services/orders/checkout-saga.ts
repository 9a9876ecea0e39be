import type { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import type { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { ServiceError } from "#kit/errors/errors.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import {
  required,
  type Saga,
  type SagaDefinition,
  type StepCall,
  type StepResult,
} from "#kit/saga/definition.ts";
import { toWireLevel } from "./messages.ts";
import { type Address, cancelOrder, confirmOrder, type Order, type ServiceLevel } from "./order.ts";
import { updateOrder } from "./order-store.ts";
import { appendEvent, callOptions } from "./saga-steps.ts";

/** What checkout needs to know of an order; amounts as text, since the saga's row is JSON. */
export interface CheckoutInput {
  readonly customerId: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly total: { readonly currencyCode: string; readonly amountMinor: string };
  readonly paymentMethod: string;
  readonly shippingAddress: Address;
  readonly serviceLevel: ServiceLevel;
}

/** Who takes part. */
export interface CheckoutParticipants {
  readonly inventory: Client<typeof InventoryService>;
  readonly payments: Client<typeof PaymentsService>;
  readonly shipping: Client<typeof ShippingService>;
}

type CheckoutSaga = Saga<CheckoutInput>;

/** Who wants to know how checkout fares. */
export interface CheckoutFollower {
  onTransition(saga: CheckoutSaga): void;
  /** In the transaction that records the end: the order as it is then. */
  onEnded(tx: Transaction, saga: CheckoutSaga, order: Order): void;
}

/**
 * Checkout: stock, money on hold, shipment, money. Authorizing before booking and capturing last means that most failures
 * give up an authorization instead of paying back. After the capture the order can only be confirmed.
 */
export function checkoutSaga(
  { inventory, payments, shipping }: CheckoutParticipants,
  { onTransition, onEnded }: CheckoutFollower,
): SagaDefinition<CheckoutInput> {
  return {
    name: "checkout",
    version: 1,
    steps: [
      {
        name: "reserve",
        attemptTimeoutMs: 5_000,
        budgetMs: 15_000,
        do: async (saga, call) => {
          const lines = saga.input.lines.map((line) => ({ ...line }));
          const { reservation } = await inventory.reserveStock(
            { orderId: saga.subjectId, lines },
            callOptions(call),
          );
          return { reservationId: required(reservation?.reservationId, "reservation") };
        },
        undo: async ({ sagaId, subjectId }, call) => {
          await inventory.releaseStock(
            { orderId: subjectId, reserveKey: `${sagaId}:reserve` },
            callOptions(call),
          );
        },
      },
      {
        name: "authorize",
        attemptTimeoutMs: 8_000,
        budgetMs: 30_000,
        do: async ({ subjectId: orderId, input }, call) => {
          const { customerId, paymentMethod } = input;
          const amount = { ...input.total, amountMinor: BigInt(input.total.amountMinor) };
          const { payment } = await payments.authorizePayment(
            { orderId, customerId, amount, paymentMethod },
            callOptions(call),
          );
          return { paymentId: required(payment?.paymentId, "payment") };
        },
        undo: async ({ sagaId, subjectId }, call) => {
          await payments.voidPayment(
            { orderId: subjectId, authorizeKey: `${sagaId}:authorize` },
            callOptions(call),
          );
        },
      },
      {
        name: "book",
        attemptTimeoutMs: 5_000,
        budgetMs: 20_000,
        do: async ({ subjectId: orderId, input }, call) => {
          const { customerId, shippingAddress, lines } = input;
          const pieces = lines.reduce((sum, { quantity }) => sum + quantity, 0);
          const serviceLevel = toWireLevel(input.serviceLevel);
          const { shipment } = await shipping.bookShipment(
            { orderId, customerId, destination: shippingAddress, serviceLevel, pieces },
            callOptions(call),
          );
          return { shipmentId: required(shipment?.shipmentId, "shipment") };
        },
        undo: async ({ sagaId, subjectId }, call) => {
          await shipping.cancelShipment({ orderId: subjectId, bookKey: `${sagaId}:book` }, callOptions(call));
        },
      },
      {
        name: "capture",
        pivot: true,
        attemptTimeoutMs: 8_000,
        budgetMs: 30_000,
        do: async (saga, call) => {
          await keepReservation({ inventory, payments }, saga, call);
          await payments.capturePayment(
            { paymentId: resultOf(saga, "authorize", "paymentId") },
            callOptions(call),
          );
          return {};
        },
      },
    ],
    onCompleted: async (tx, saga) => onEnded(tx, saga, await confirm(tx, saga)),
    onCompensated: async (tx, saga) => onEnded(tx, saga, await cancel(tx, saga)),
    onTransition,
  };
}

/** A third of what inventory promises: an order that is captured sooner, as nearly all are, costs no call more. */
const extendAfterMs = 5 * 60_000;

/**
 * Money is taken only for pieces that are still set aside. Each further five minutes ask anew, since under one key inventory would
 * give its first answer again. Where the reservation has ended, that turns the saga round, unless an earlier attempt has taken
 * the money and nobody heard of it: then the order goes forward, with pieces of what is left.
 */
async function keepReservation(
  { inventory, payments }: Pick<CheckoutParticipants, "inventory" | "payments">,
  saga: CheckoutSaga,
  call: StepCall,
) {
  const period = Math.floor(saga.ageMs / extendAfterMs);
  if (period === 0) return;
  const idempotencyKey = `${call.key}:extend:${period}`;
  try {
    await inventory.extendReservation({ orderId: saga.subjectId }, { ...callOptions(call), idempotencyKey });
  } catch (error) {
    if (!isRefusedFor(error, "RESERVATION_ENDED") || !(await isCaptured(payments, saga, call))) throw error;
  }
}

/** Giving the authorization up, as undoing would, finds out, and bars an attempt that may still be on its way. */
async function isCaptured(
  payments: CheckoutParticipants["payments"],
  { sagaId, subjectId: orderId }: CheckoutSaga,
  call: StepCall,
): Promise<boolean> {
  const authorizeKey = `${sagaId}:authorize`;
  const idempotencyKey = `${authorizeKey}:undo`;
  try {
    await payments.voidPayment({ orderId, authorizeKey }, { ...callOptions(call), idempotencyKey });
    return false;
  } catch (error) {
    if (isRefusedFor(error, "PAYMENT_ALREADY_CAPTURED")) return true;
    throw error;
  }
}

const isRefusedFor = (error: unknown, reason: string) =>
  error instanceof ServiceError && error.reason === reason;

const confirm = (tx: Transaction, saga: CheckoutSaga) =>
  appendEvent(tx, saga, updateOrder, (order) =>
    confirmOrder(order, {
      reservationId: resultOf(saga, "reserve", "reservationId"),
      paymentId: resultOf(saga, "authorize", "paymentId"),
      shipmentId: resultOf(saga, "book", "shipmentId"),
    }),
  );

const cancel = (tx: Transaction, saga: CheckoutSaga) =>
  appendEvent(tx, saga, updateOrder, (order) => cancelOrder(order, saga.failure?.reason ?? ""));

function resultOf(saga: CheckoutSaga, step: string, name: string): string {
  const result: StepResult = saga.results[step] ?? {};
  return String(result[name] ?? "");
}
