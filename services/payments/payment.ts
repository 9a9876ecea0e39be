import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/payments/v1/errors_pb.ts";
import { keyReused, type ServiceError, serviceError } from "#kit/errors/errors.ts";

/** Where a payment stands. */
export type PaymentStatus = "PENDING" | "AUTHORIZED" | "CAPTURED" | "DECLINED" | "VOIDED" | "REFUNDED";

/** Why a bank or the processor refused: the name of the error reason a caller gets. */
export type DeclineReason =
  | "CARD_DECLINED"
  | "INSUFFICIENT_FUNDS"
  | "PAYMENT_METHOD_INVALID"
  | "PROCESSOR_REFUSED";

/** An amount in the currency's minor unit, and its ISO 4217 code in capitals. */
export interface Money {
  readonly currencyCode: string;
  readonly amountMinor: bigint;
}

/** What an authorization asks for. */
export interface PaymentRequest {
  readonly orderId: string;
  readonly customerId: string;
  readonly amount: Money;
  /** The command's key: natural key of the payment, and the processor's idempotency key. */
  readonly authorizeKey: string;
}

/** One payment. */
export interface Payment extends PaymentRequest {
  readonly paymentId: string;
  readonly status: PaymentStatus;
  /** The card at the processor; known only while the outcome is unknown. */
  readonly paymentMethod: string | undefined;
  /** The processor's id of it; unknown while the outcome is. */
  readonly processorReference: string | undefined;
  readonly declineReason: DeclineReason | "";
  readonly refundedMinor: bigint;
  /** What refunds under way hold. */
  readonly refundingMinor: bigint;
  /** Counts changes from 1; orders the payment's events. */
  readonly version: bigint;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What the processor says about a payment: its word decides, whatever was recorded here. */
export type ProcessorTruth =
  /** Held on the card, or taken from it. */
  | { readonly standing: "held" | "taken"; readonly reference: string; readonly declineReason: "" }
  /** Not held any more. Without a reference: it never arrived. */
  | { readonly standing: "released"; readonly reference: string | undefined; readonly declineReason: "" }
  | {
      readonly standing: "declined";
      readonly reference: string | undefined;
      readonly declineReason: DeclineReason;
    };

const statusOfStanding = {
  held: "AUTHORIZED",
  taken: "CAPTURED",
  released: "VOIDED",
  declined: "DECLINED",
} as const;

const laterStatuses: Readonly<Record<PaymentStatus, ReadonlySet<PaymentStatus>>> = {
  PENDING: new Set<PaymentStatus>(["AUTHORIZED", "CAPTURED", "DECLINED", "VOIDED"]),
  AUTHORIZED: new Set<PaymentStatus>(["CAPTURED", "VOIDED"]),
  CAPTURED: new Set<PaymentStatus>(["REFUNDED"]),
  DECLINED: new Set(),
  VOIDED: new Set(),
  REFUNDED: new Set(),
};

/** Where the processor's word moves a payment; undefined when it is no news. A payment never moves backwards. */
export function statusAfter(status: PaymentStatus, { standing }: Pick<ProcessorTruth, "standing">) {
  const told = statusOfStanding[standing];
  return laterStatuses[status].has(told) ? told : undefined;
}

/** From where the processor's word can move a payment to `status`. */
export const statusesBefore = (status: PaymentStatus) =>
  (Object.keys(laterStatuses) as PaymentStatus[]).filter((before) => laterStatuses[before].has(status));

/** Whether money was taken for this payment, paid back since or not. */
export const wasCaptured = ({ status }: Pick<Payment, "status">) =>
  status === "CAPTURED" || status === "REFUNDED";

/** @throws ServiceError IDEMPOTENCY_KEY_REUSED when the payment under this key is for something else. */
export function checkSameRequest(payment: Payment, request: PaymentRequest): void {
  const same =
    payment.orderId === request.orderId &&
    payment.customerId === request.customerId &&
    payment.amount.amountMinor === request.amount.amountMinor &&
    payment.amount.currencyCode === request.amount.currencyCode;
  if (!same) throw keyReused();
}

/**
 * How much a refund pays back: what was asked for, or all that is left.
 * @throws ServiceError PAYMENT_NOT_CAPTURED, CURRENCY_MISMATCH or REFUND_EXCEEDS_CAPTURE.
 */
export function refundableAmount(payment: Payment, asked: Money | undefined): bigint {
  if (!wasCaptured(payment)) throw paymentNotCaptured(payment);
  if (asked && asked.currencyCode !== payment.amount.currencyCode) throw currencyMismatch(payment);
  const leftMinor = payment.amount.amountMinor - payment.refundedMinor - payment.refundingMinor;
  const amountMinor = asked ? asked.amountMinor : leftMinor;
  if (amountMinor > leftMinor || amountMinor === 0n) throw refundExceedsCapture(leftMinor);
  return amountMinor;
}

/** Nobody may learn that a payment exists which is not theirs, so this is also said of other people's. */
export const paymentNotFound = (paymentId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PAYMENT_NOT_FOUND, "There is no such payment.", {
    metadata: { payment_id: paymentId },
  });

/** The payment is not set aside, so it cannot be taken. */
export const paymentNotAuthorized = ({ status }: Pick<Payment, "status">) =>
  serviceError(ErrorReasonSchema, ErrorReason.PAYMENT_NOT_AUTHORIZED, "The payment is not authorized.", {
    metadata: { status },
  });

/** The money is taken: it can be paid back, not given up. */
export const paymentAlreadyCaptured = (paymentId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PAYMENT_ALREADY_CAPTURED, "The payment was captured already.", {
    metadata: { payment_id: paymentId },
  });

/** Less than that is left to pay back. */
export const refundExceedsCapture = (leftMinor: bigint) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.REFUND_EXCEEDS_CAPTURE,
    "That is more than is left to pay back.",
    {
      metadata: { left_minor: String(leftMinor) },
    },
  );

/** The webhook does not fit the payment it names. */
export const webhookContradictsPayment = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.WEBHOOK_CONTRADICTS_PAYMENT,
    "The webhook tells of another amount or currency than the payment's.",
  );

/** The webhook cannot be proven to come from the processor, now. */
export const webhookSignatureInvalid = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.WEBHOOK_SIGNATURE_INVALID,
    "The webhook's signature is missing, wrong or too old.",
  );

/** The command was undone before it arrived. */
export const authorizationCancelled = () =>
  serviceError(
    AnyReasonSchema,
    AnyReason.COMMAND_CANCELLED,
    "The authorization was voided before it arrived.",
  );

/** The processor is still carrying out an earlier request under this key; repeating later meets its answer. */
export const stillUnderWay = () =>
  serviceError(AnyReasonSchema, AnyReason.IDEMPOTENCY_KEY_IN_USE, "The card processor is still at it.", {
    retryAfterMs: 500,
  });

/** What happened at the processor is unknown; repeating with the same key finds out. */
export const outcomeUnknown = (cause: unknown) =>
  serviceError(AnyReasonSchema, AnyReason.DEPENDENCY_UNAVAILABLE, "The card processor has not answered.", {
    cause,
  });

const declines: Readonly<Record<DeclineReason, readonly [ErrorReason, string]>> = {
  CARD_DECLINED: [ErrorReason.CARD_DECLINED, "The card was declined."],
  INSUFFICIENT_FUNDS: [ErrorReason.INSUFFICIENT_FUNDS, "The card has insufficient funds."],
  PAYMENT_METHOD_INVALID: [
    ErrorReason.PAYMENT_METHOD_INVALID,
    "The card processor does not know this payment method.",
  ],
  PROCESSOR_REFUSED: [ErrorReason.PROCESSOR_REFUSED, "The card processor refuses such a payment."],
};

/** The error a caller gets for a refused payment. */
export function paymentDeclined(reason: DeclineReason | ""): ServiceError {
  const [value, message] = declines[reason || "CARD_DECLINED"];
  return serviceError(ErrorReasonSchema, value, message);
}

const paymentNotCaptured = ({ status }: Payment) =>
  serviceError(ErrorReasonSchema, ErrorReason.PAYMENT_NOT_CAPTURED, "The payment is not captured.", {
    metadata: { status },
  });

const currencyMismatch = ({ amount }: Payment) =>
  serviceError(ErrorReasonSchema, ErrorReason.CURRENCY_MISMATCH, "The payment is in another currency.", {
    metadata: { currency_code: amount.currencyCode },
  });
