import { chargeIdOf, newId, type PaymentIntent } from "./payment-intent.ts";
import { amountTooLarge, Problem, unexpectedState } from "./problems.ts";

/** A refund, whole or in part, in Stripe's field names; amount in minor units. */
export type Refund = {
  id: string;
  object: "refund";
  amount: number;
  charge: string;
  created: number;
  currency: string;
  metadata: Record<string, string>;
  payment_intent: string;
  reason: string | null;
  status: "succeeded";
};

/** What the caller chooses when money goes back; without an amount it is all that is left. */
export type NewRefund = Pick<Refund, "created" | "metadata" | "reason"> & { amount: number | undefined };

/** Gives money back; throws a problem when the intent has less than that left. */
export function createRefund(intent: PaymentIntent, refundedBefore: number, chosen: NewRefund): Refund {
  if (intent.status !== "succeeded") {
    const message = `This PaymentIntent (${intent.id}) does not have a successful charge to refund.`;
    throw unexpectedState(message, undefined);
  }
  const left = intent.amount_received - refundedBefore;
  if (left === 0) {
    const message = `Charge ${chargeIdOf(intent)} has already been refunded.`;
    throw new Problem(400, { type: "invalid_request_error", code: "charge_already_refunded", message }, true);
  }
  const amount = chosen.amount ?? left;
  if (amount > left) {
    throw amountTooLarge(
      `Refund amount (${amount}) is greater than unrefunded amount on charge (${left}).`,
      "amount",
    );
  }
  return {
    id: newId("re"),
    object: "refund",
    amount,
    charge: chargeIdOf(intent),
    created: chosen.created,
    currency: intent.currency,
    metadata: chosen.metadata,
    payment_intent: intent.id,
    reason: chosen.reason,
    status: "succeeded",
  };
}

/** The intent's charge as `charge.refunded` announces it, and as it is shown inside its intent. */
export function chargeToWire(intent: PaymentIntent, amountRefunded: number): object {
  const captured = intent.status === "succeeded";
  // A charge that was released before it was captured counts as refunded, all of it.
  const refunded = intent.status === "canceled" ? intent.amount : amountRefunded;
  return {
    id: chargeIdOf(intent),
    object: "charge",
    amount: intent.amount,
    amount_captured: intent.amount_received,
    amount_refunded: refunded,
    captured,
    created: intent.created,
    currency: intent.currency,
    livemode: false,
    metadata: intent.metadata,
    paid: true,
    payment_intent: intent.id,
    payment_method: intent.payment_method,
    refunded: refunded > 0 && refunded === (captured ? intent.amount_received : intent.amount),
    status: "succeeded",
  };
}
