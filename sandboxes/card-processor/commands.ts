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
export function createCommand(accounts: Accounts, form: Form, withholdMs: number): Command {
  refuseUnknown(form, CREATE_PARAMETERS);
  const paymentMethod = optionalText(form, "payment_method");
  const card = paymentMethod === undefined ? {} : cardOf(paymentMethod);
  const confirm = oneOf(form, "confirm", ["true", "false"], "false") === "true";
  if (confirm && paymentMethod === undefined) throw parameterMissing("payment_method");
  const chosen = {
    amount: requiredAmount(form, "amount"),
    capture_method: oneOf(form, "capture_method", ["automatic", "manual"], "automatic"),
    currency: requiredCurrency(form),
    description: optionalText(form, "description") ?? null,
    metadata: readMetadata(form),
    payment_method: paymentMethod ?? null,
  };
  const apply = () => {
    const intent = createIntent({ ...chosen, created: accounts.intents.nextCreated() });
    if (confirm) return applyCharge(accounts, confirmIntent(intent, undefined), withholdMs);
    accounts.intents.put(intent);
    return applied("created", 0, intent, announce("payment_intent.created", intent));
  };
  return { intentId: undefined, slow: confirm && card.slow === true, apply };
}

/** POST /v1/payment_intents/:id/confirm */
export function confirmCommand(accounts: Accounts, id: string, form: Form, withholdMs: number): Command {
  refuseUnknown(form, CONFIRM_PARAMETERS);
  const paymentMethod = optionalText(form, "payment_method");
  const method = paymentMethod ?? intentOf(accounts, id).payment_method;
  const slow = method !== null && cardOf(method).slow === true;
  const apply = () => applyCharge(accounts, confirmIntent(intentOf(accounts, id), paymentMethod), withholdMs);
  return { intentId: id, slow, apply };
}

/** POST /v1/payment_intents/:id/capture */
export function captureCommand(accounts: Accounts, id: string, form: Form): Command {
  refuseUnknown(form, CAPTURE_PARAMETERS);
  const amount = optionalAmount(form, "amount_to_capture");
  intentOf(accounts, id);
  const apply = () => applyCharge(accounts, captureIntent(intentOf(accounts, id), amount), undefined);
  return { intentId: id, slow: false, apply };
}

/** POST /v1/payment_intents/:id/cancel */
export function cancelCommand(accounts: Accounts, id: string, form: Form): Command {
  refuseUnknown(form, CANCEL_PARAMETERS);
  const reason = oneOf(form, "cancellation_reason", CANCEL_REASONS, "none");
  intentOf(accounts, id);
  const apply = () => {
    const before = intentOf(accounts, id);
    const now = Math.floor(Date.now() / 1000);
    const intent = cancelIntent(before, reason === "none" ? null : reason, now);
    accounts.intents.put(intent);
    return applied("canceled", before.amount_capturable, intent, announce("payment_intent.canceled", intent));
  };
  return { intentId: id, slow: false, apply };
}

/** POST /v1/refunds */
export function refundCommand(accounts: Accounts, form: Form): Command {
  refuseUnknown(form, REFUND_PARAMETERS);
  const id = optionalText(form, "payment_intent");
  if (id === undefined) throw parameterMissing("payment_intent");
  const reason = oneOf(form, "reason", REFUND_REASONS, "none");
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
    const effect = effectOf("refunded", refund.amount, intent, refund);
    effect.fields.refund = refund.id;
    return {
      effect,
      announcements: [{ type: "charge.refunded", object: () => chargeToWire(intent, total) }],
    };
  };
  return { intentId: id, slow: false, apply };
}

function applyCharge(
  accounts: Accounts,
  { kind, intent, decline }: Charged,
  withholdMs: number | undefined,
): Applied {
  accounts.intents.put(intent);
  if (decline) {
    const answer = { error: { ...decline, payment_intent: toWire(intent) } };
    const effect = { ...effectOf("declined", intent.amount, intent, answer), status: 402 };
    const failed = intent.status === "requires_payment_method";
    return { effect, announcements: failed ? announce("payment_intent.payment_failed", intent) : [] };
  }
  const type = kind === "captured" ? "payment_intent.succeeded" : "payment_intent.amount_capturable_updated";
  const amount = kind === "captured" ? intent.amount_received : intent.amount_capturable;
  const { effect, announcements } = applied(kind, amount, intent, announce(type, intent));
  const withholds = intent.payment_method !== null && cardOf(intent.payment_method).withholdsAnswer;
  return { effect: withholds ? { ...effect, withholdMs } : effect, announcements };
}

function applied(
  kind: string,
  amount: number,
  intent: PaymentIntent,
  announcements: Announcement[],
): Applied {
  return { effect: effectOf(kind, amount, intent, toWire(intent)), announcements };
}

function effectOf(kind: string, amount: number, intent: PaymentIntent, answer: unknown): Effect {
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
