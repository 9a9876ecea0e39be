// What each POST does: the form is read first (a malformed one changes nothing), the card decides how long it takes,
// and `apply` changes the accounts and says what the ledger keeps.
import type { Effect } from "../answers.ts";
import { type Accounts, addRefund, intentOf, refundedOf } from "./accounts.ts";
import { cardOf } from "./cards.ts";
import type { Form } from "./form.ts";
import {
  oneOf,
  optionalAmount,
  optionalText,
  readMetadata,
  refuseUnknown,
  requiredAmount,
  requiredCurrency,
} from "./params.ts";
import {
  type Charged,
  cancelIntent,
  captureIntent,
  confirmIntent,
  createIntent,
  type PaymentIntent,
  toWire,
} from "./payment-intent.ts";
import { parameterMissing } from "./problems.ts";
import { chargeToWire, createRefund } from "./refund.ts";

/** An event for the webhook; the object is built only when somebody listens. */
export type Announcement = { type: string; object(): object };

/** What applying a command came to. */
export type Applied = { effect: Effect; announcements: Announcement[] };

/** A request that was read and can be carried out. */
export type Command = { intentId: string | undefined; slow: boolean; apply(): Applied };

const CREATE_PARAMETERS = new Set([
  ...["amount", "currency", "capture_method", "confirm", "payment_method", "metadata", "description"],
  // Accepted and without meaning here: cards are the only method and none asks for an action.
  ...["automatic_payment_methods", "payment_method_types", "confirmation_method", "error_on_requires_action"],
  ...["off_session", "receipt_email", "return_url", "statement_descriptor", "statement_descriptor_suffix"],
]);
const CONFIRM_PARAMETERS = new Set([
  "payment_method",
  "off_session",
  "return_url",
  "error_on_requires_action",
]);
const CAPTURE_PARAMETERS = new Set(["amount_to_capture"]);
const CANCEL_PARAMETERS = new Set(["cancellation_reason"]);
const REFUND_PARAMETERS = new Set(["payment_intent", "amount", "reason", "metadata"]);
const CANCEL_REASONS = ["none", "duplicate", "fraudulent", "requested_by_customer", "abandoned"] as const;
const REFUND_REASONS = ["none", "duplicate", "fraudulent", "requested_by_customer"] as const;

/** POST /v1/payment_intents */
export function createCommand(accounts: Accounts, form: Form): Command {
  refuseUnknown(form, CREATE_PARAMETERS);
  const paymentMethod = optionalText(form, "payment_method");
  const card = paymentMethod === undefined ? {} : cardOf(paymentMethod);
  const confirm = oneOf(form, "confirm", ["false", "true"]) === "true";
  if (confirm && paymentMethod === undefined) throw parameterMissing("payment_method");
  const chosen = {
    amount: requiredAmount(form, "amount"),
    capture_method: oneOf(form, "capture_method", ["automatic", "manual"]),
    currency: requiredCurrency(form),
    description: optionalText(form, "description") ?? null,
    metadata: readMetadata(form),
    payment_method: paymentMethod ?? null,
  };
  const apply = () => {
    const intent = createIntent({ ...chosen, created: accounts.intents.nextCreated() });
    if (confirm) return withhold(applyCharge(accounts, confirmIntent(intent, undefined)));
    accounts.intents.put(intent);
    return applied({ kind: "created", amount: 0, intent }, announce("payment_intent.created", intent));
  };
  return { intentId: undefined, slow: confirm && card.slow === true, apply };
}

/** POST /v1/payment_intents/:id/confirm */
export function confirmCommand(accounts: Accounts, id: string, form: Form): Command {
  refuseUnknown(form, CONFIRM_PARAMETERS);
  const paymentMethod = optionalText(form, "payment_method");
  const method = paymentMethod ?? intentOf(accounts, id).payment_method;
  const slow = method !== null && cardOf(method).slow === true;
  const apply = () => withhold(applyCharge(accounts, confirmIntent(intentOf(accounts, id), paymentMethod)));
  return { intentId: id, slow, apply };
}

/** POST /v1/payment_intents/:id/capture */
export function captureCommand(accounts: Accounts, id: string, form: Form): Command {
  refuseUnknown(form, CAPTURE_PARAMETERS);
  const amount = optionalAmount(form, "amount_to_capture");
  intentOf(accounts, id);
  const apply = () => applyCharge(accounts, captureIntent(intentOf(accounts, id), amount));
  return { intentId: id, slow: false, apply };
}

/** POST /v1/payment_intents/:id/cancel */
export function cancelCommand(accounts: Accounts, id: string, form: Form): Command {
  refuseUnknown(form, CANCEL_PARAMETERS);
  const reason = oneOf(form, "cancellation_reason", CANCEL_REASONS);
  intentOf(accounts, id);
  const apply = () => {
    const before = intentOf(accounts, id);
    const now = Math.floor(Date.now() / 1000);
    const intent = cancelIntent(before, reason === "none" ? null : reason, now);
    accounts.intents.put(intent);
    return applied(
      { kind: "canceled", amount: before.amount_capturable, intent },
      announce("payment_intent.canceled", intent),
    );
  };
  return { intentId: id, slow: false, apply };
}

/** POST /v1/refunds */
export function refundCommand(accounts: Accounts, form: Form): Command {
  refuseUnknown(form, REFUND_PARAMETERS);
  const id = optionalText(form, "payment_intent");
  if (id === undefined) throw parameterMissing("payment_intent");
  const reason = oneOf(form, "reason", REFUND_REASONS);
  const chosen = {
    amount: optionalAmount(form, "amount"),
    metadata: readMetadata(form),
    reason: reason === "none" ? null : reason,
  };
  intentOf(accounts, id);
  const apply = () => {
    const intent = intentOf(accounts, id);
    const created = accounts.refunds.nextCreated();
    const refund = createRefund(intent, refundedOf(accounts, id), { ...chosen, created });
    addRefund(accounts, refund);
    const total = refundedOf(accounts, id);
    const effect = effectOf({ kind: "refunded", amount: refund.amount, intent }, refund);
    effect.fields.refund = refund.id;
    return {
      effect,
      announcements: [{ type: "charge.refunded", object: () => chargeToWire(intent, total) }],
    };
  };
  return { intentId: id, slow: false, apply };
}

/** A sum that an intent moved, or failed to. */
type Movement = { kind: string; amount: number; intent: PaymentIntent };

function applyCharge(accounts: Accounts, { kind, intent, decline }: Charged): Applied {
  accounts.intents.put(intent);
  if (decline) {
    const answer = { error: { ...decline, payment_intent: toWire(intent) } };
    const effect = { ...effectOf({ kind, amount: intent.amount, intent }, answer), status: 402 };
    const failed = intent.status === "requires_payment_method";
    return { effect, announcements: failed ? announce("payment_intent.payment_failed", intent) : [] };
  }
  if (kind === "captured") {
    const amount = intent.amount_received;
    return applied({ kind, amount, intent }, announce("payment_intent.succeeded", intent));
  }
  const amount = intent.amount_capturable;
  return applied({ kind, amount, intent }, announce("payment_intent.amount_capturable_updated", intent));
}

/** A charge whose answer never reaches its first caller, when the card is the one for that. */
function withhold({ effect, announcements }: Applied): Applied {
  const method = effect.fields.payment_method;
  const withheld = typeof method === "string" && cardOf(method).withholdsAnswer === true;
  return { effect: { ...effect, withheld }, announcements };
}

function applied(movement: Movement, announcements: Announcement[]): Applied {
  return { effect: effectOf(movement, toWire(movement.intent)), announcements };
}

function effectOf({ kind, amount, intent }: Movement, answer: unknown): Effect {
  const fields = {
    payment_intent: intent.id,
    amount,
    currency: intent.currency,
    payment_method: intent.payment_method,
    metadata: intent.metadata,
  };
  return { kind, fields, status: 200, answer };
}

function announce(type: string, intent: PaymentIntent): Announcement[] {
  return [{ type, object: () => toWire(intent) }];
}
