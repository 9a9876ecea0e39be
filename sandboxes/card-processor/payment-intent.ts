// The life of a payment intent as pure functions: each takes an intent and answers the next one, or throws a problem.
import { randomUUID } from "node:crypto";
import { cardOf } from "./cards.ts";
import { amountTooLarge, type Problem, unexpectedState } from "./problems.ts";

/** When an authorized amount is captured. */
export type CaptureMethod = "automatic" | "manual";

/** Where an intent stands. */
export type Status =
  | "requires_payment_method"
  | "requires_confirmation"
  | "requires_capture"
  | "succeeded"
  | "canceled";

/** What the bank said when it refused. */
export type Decline = { type: "card_error"; code: string; decline_code: string; message: string };

/** An intent in Stripe's field names; amounts in minor units, times in seconds. */
export type PaymentIntent = {
  id: string;
  amount: number;
  amount_capturable: number;
  amount_received: number;
  canceled_at: number | null;
  cancellation_reason: string | null;
  capture_method: CaptureMethod;
  created: number;
  currency: string;
  description: string | null;
  last_payment_error: Decline | null;
  latest_charge: string | null;
  metadata: Record<string, string>;
  payment_method: string | null;
  status: Status;
};

/** What confirming came to; a decline changes the intent too. */
export type Charged = {
  kind: "authorized" | "captured" | "declined";
  intent: PaymentIntent;
  decline?: Decline;
};

/** What the caller chooses when an intent is created. */
export type NewIntent = Pick<
  PaymentIntent,
  "amount" | "capture_method" | "created" | "currency" | "description" | "metadata" | "payment_method"
>;

/** Creates an intent that has moved no money yet. */
export function createIntent(chosen: NewIntent): PaymentIntent {
  return {
    ...chosen,
    id: newId("pi"),
    amount_capturable: 0,
    amount_received: 0,
    canceled_at: null,
    cancellation_reason: null,
    last_payment_error: null,
    latest_charge: null,
    status: chosen.payment_method === null ? "requires_payment_method" : "requires_confirmation",
  };
}

/** Charges the card: authorizes, captures too when the intent says so, or is declined. */
export function confirmIntent(intent: PaymentIntent, paymentMethod: string | undefined): Charged {
  if (intent.status !== "requires_payment_method" && intent.status !== "requires_confirmation") {
    throw notAllowed("confirm", intent);
  }
  const method = paymentMethod ?? intent.payment_method;
  if (method === null) {
    throw unexpectedState(
      "You cannot confirm this PaymentIntent because it's missing a payment method.",
      toWire(intent),
    );
  }
  const { declineCode } = cardOf(method);
  if (declineCode) return declineCharge(intent, declineCode);
  const charged = {
    ...intent,
    payment_method: method,
    last_payment_error: null,
    latest_charge: chargeIdOf(intent),
  };
  if (intent.capture_method === "manual") {
    const held = { ...charged, status: "requires_capture" as const, amount_capturable: intent.amount };
    return { kind: "authorized", intent: held };
  }
  return { kind: "captured", intent: { ...charged, status: "succeeded", amount_received: intent.amount } };
}

/** Takes the authorized amount, or a part of it; the rest is released. */
export function captureIntent(intent: PaymentIntent, amountToCapture: number | undefined): Charged {
  if (intent.status !== "requires_capture") throw notAllowed("capture", intent);
  const amount = amountToCapture ?? intent.amount_capturable;
  if (amount > intent.amount_capturable) {
    const message = `You may not capture more than the capturable amount (${intent.amount_capturable}).`;
    throw amountTooLarge(message, "amount_to_capture");
  }
  if (intent.payment_method !== null && cardOf(intent.payment_method).declinesCapture) {
    return { kind: "declined", intent, decline: declineOf("generic_decline") };
  }
  const captured = { ...intent, status: "succeeded" as const, amount_capturable: 0, amount_received: amount };
  return { kind: "captured", intent: captured };
}

/** Ends an intent that has not been captured and releases what it holds. */
export function cancelIntent(intent: PaymentIntent, reason: string | null, now: number): PaymentIntent {
  if (intent.status === "succeeded" || intent.status === "canceled") throw notAllowed("cancel", intent);
  return {
    ...intent,
    status: "canceled",
    amount_capturable: 0,
    canceled_at: now,
    cancellation_reason: reason,
  };
}

/** The intent as Stripe's API shows it. */
export function toWire(intent: PaymentIntent): object {
  return {
    id: intent.id,
    object: "payment_intent",
    amount: intent.amount,
    amount_capturable: intent.amount_capturable,
    amount_received: intent.amount_received,
    canceled_at: intent.canceled_at,
    cancellation_reason: intent.cancellation_reason,
    capture_method: intent.capture_method,
    client_secret: null,
    confirmation_method: "automatic",
    created: intent.created,
    currency: intent.currency,
    customer: null,
    description: intent.description,
    last_payment_error: intent.last_payment_error,
    latest_charge: intent.latest_charge,
    livemode: false,
    metadata: intent.metadata,
    next_action: null,
    payment_method: intent.payment_method,
    payment_method_types: ["card"],
    status: intent.status,
  };
}

/** The intent from what `toWire` made of it. */
export function fromWire(wire: PaymentIntent): PaymentIntent {
  return {
    id: wire.id,
    amount: wire.amount,
    amount_capturable: wire.amount_capturable,
    amount_received: wire.amount_received,
    canceled_at: wire.canceled_at,
    cancellation_reason: wire.cancellation_reason,
    capture_method: wire.capture_method,
    created: wire.created,
    currency: wire.currency,
    description: wire.description,
    last_payment_error: wire.last_payment_error,
    latest_charge: wire.latest_charge,
    metadata: wire.metadata,
    payment_method: wire.payment_method,
    status: wire.status,
  };
}

/** A new id in Stripe's form, unique across restarts. */
export function newId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll("-", "")}`;
}

/** An intent has at most one charge that succeeds, so the charge's id follows from the intent's. */
export function chargeIdOf(intent: PaymentIntent): string {
  return `ch_${intent.id.slice("pi_".length)}`;
}

function declineCharge(intent: PaymentIntent, declineCode: string): Charged {
  const decline = declineOf(declineCode);
  const declined = {
    status: "requires_payment_method" as const,
    payment_method: null,
    last_payment_error: decline,
  };
  return { kind: "declined", intent: { ...intent, ...declined }, decline };
}

function declineOf(declineCode: string): Decline {
  const message =
    declineCode === "insufficient_funds" ? "Your card has insufficient funds." : "Your card was declined.";
  return { type: "card_error", code: "card_declined", decline_code: declineCode, message };
}

function notAllowed(verb: string, intent: PaymentIntent): Problem {
  const message = `You cannot ${verb} this PaymentIntent because it has a status of ${intent.status}.`;
  return unexpectedState(message, toWire(intent));
}
