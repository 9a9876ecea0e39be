import { invalidRequest } from "./problems.ts";

/** What a card does when it is charged. */
export type Card = {
  /** Set: the charge is declined, for this reason. */
  declineCode?: "generic_decline" | "insufficient_funds";
  /** The answer takes SLOW_MS. */
  slow?: boolean;
  /** The charge is made, and its first caller never learns of it. */
  withholdsAnswer?: boolean;
  /** Authorizes, but capturing is declined. */
  declinesCapture?: boolean;
};

const CARDS: ReadonlyMap<string, Card> = new Map(
  Object.entries({
    pm_card_visa: {},
    pm_card_chargeDeclined: { declineCode: "generic_decline" },
    pm_card_chargeDeclinedInsufficientFunds: { declineCode: "insufficient_funds" },
    pm_card_slow: { slow: true },
    pm_card_chargeThenTimeout: { withholdsAnswer: true },
    pm_card_captureDeclined: { declinesCapture: true },
  } satisfies Record<string, Card>),
);

/** Finds a test card by its payment method id; throws a 400 problem for any other id. */
export function cardOf(paymentMethod: string): Card {
  const card = CARDS.get(paymentMethod);
  if (card) return card;
  const message = `No such PaymentMethod: '${paymentMethod}'; the sandbox knows ${[...CARDS.keys()].join(", ")}`;
  throw invalidRequest(message, { code: "resource_missing", param: "payment_method" });
}
