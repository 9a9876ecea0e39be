import type { ProcessorRecord } from "../card-processor.ts";
import type { DeclineReason, ProcessorTruth } from "../payment.ts";

/** The fields of a Stripe payment intent that payments reads, in answers and in webhooks. */
export interface Intent {
  readonly id: string;
  readonly status: string;
  readonly amount: number;
  readonly currency: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly last_payment_error?: Decline | null;
  readonly amount_received?: number;
  /** Its id, unless it was asked for whole. */
  readonly latest_charge?: string | { readonly amount_refunded?: number } | null;
}

/** Stripe's words for why a card was refused. */
export interface Decline {
  readonly code?: string;
  readonly decline_code?: string;
}

/** Under which metadata name the authorization's key travels: it leads from an intent back to the payment. */
export const commandField = "command";

/**
 * What an intent says about its payment; undefined while Stripe itself has not decided (`processing` and the statuses
 * before the card was charged).
 */
export function readTruth({ id, status, last_payment_error: error }: Intent): ProcessorTruth | undefined {
  if (status === "requires_capture") return { reference: id, standing: "held", declineReason: "" };
  if (status === "succeeded") return { reference: id, standing: "taken", declineReason: "" };
  if (status === "canceled") return { reference: id, standing: "released", declineReason: "" };
  if (status !== "requires_payment_method" || !error) return undefined;
  return { reference: id, standing: "declined", declineReason: readDecline(error) };
}

/** The shop's reason for Stripe's; everything a bank says but "no funds" is the same to a customer. */
export function readDecline({ code, decline_code: declineCode }: Decline): DeclineReason {
  return code === "insufficient_funds" || declineCode === "insufficient_funds"
    ? "INSUFFICIENT_FUNDS"
    : "CARD_DECLINED";
}

/** An intent from JSON of the processor; undefined when the value is none. */
export function toIntent(value: unknown): Intent | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { id, status, amount, currency } = value as Partial<Intent>;
  const whole =
    typeof id === "string" &&
    typeof status === "string" &&
    typeof amount === "number" &&
    typeof currency === "string";
  return whole ? (value as Intent) : undefined;
}

/** What an intent that was shown with its charge says to a comparison. */
export function readRecord(intent: Intent): ProcessorRecord {
  const standing = readTruth(intent)?.standing ?? "undecided";
  const { latest_charge: charge } = intent;
  const taken = standing === "taken";
  // The charge of a released intent counts as refunded at Stripe, though nothing was taken.
  const refunded = taken && typeof charge === "object" ? (charge?.amount_refunded ?? 0) : 0;
  return {
    reference: intent.id,
    key: intent.metadata?.[commandField],
    standing,
    amount: {
      amountMinor: BigInt(taken ? (intent.amount_received ?? intent.amount) : intent.amount),
      currencyCode: intent.currency.toUpperCase(),
    },
    refundedMinor: BigInt(refunded),
  };
}
