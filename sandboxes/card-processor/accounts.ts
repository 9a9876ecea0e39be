import { Collection } from "../collection.ts";
import type { LedgerEntry } from "../ledger.ts";
import { fromWire, type PaymentIntent } from "./payment-intent.ts";
import { noSuch } from "./problems.ts";
import type { Refund } from "./refund.ts";

/** Everything the processor knows; rebuilt from the ledger at start. */
export type Accounts = {
  intents: Collection<PaymentIntent>;
  refunds: Collection<Refund>;
  /** Minor units given back, by intent id. */
  refunded: Map<string, number>;
};

/** Accounts without a single payment. */
export function createAccounts(): Accounts {
  return { intents: new Collection(), refunds: new Collection(), refunded: new Map() };
}

/** Finds an intent; throws a 404 problem. */
export function intentOf(accounts: Accounts, id: string): PaymentIntent {
  const intent = accounts.intents.get(id);
  if (!intent) throw noSuch("payment_intent", id, "intent");
  return intent;
}

/** Finds a refund; throws a 404 problem. */
export function refundOf(accounts: Accounts, id: string): Refund {
  const refund = accounts.refunds.get(id);
  if (!refund) throw noSuch("refund", id);
  return refund;
}

/** Adds a refund and its amount. */
export function addRefund(accounts: Accounts, refund: Refund): void {
  accounts.refunds.put(refund);
  accounts.refunded.set(refund.payment_intent, refundedOf(accounts, refund.payment_intent) + refund.amount);
}

/** Minor units of an intent that were given back. */
export function refundedOf(accounts: Accounts, intentId: string): number {
  return accounts.refunded.get(intentId) ?? 0;
}

/** Repeats what a ledger entry did: its answer holds the intent or refund as it was afterwards. */
export function restoreEntry(accounts: Accounts, { kind, answer }: LedgerEntry): void {
  if (kind === "refused") return;
  const shown = answer as { object?: string; error?: { payment_intent: PaymentIntent } };
  if (shown.object === "refund") addRefund(accounts, answer as Refund);
  else accounts.intents.put(fromWire(shown.error?.payment_intent ?? (answer as PaymentIntent)));
}
