import {
  PaymentAuthorizedSchema,
  PaymentCapturedSchema,
  PaymentFailedSchema,
  PaymentRefundedSchema,
  PaymentVoidedSchema,
} from "#gen/souk/payments/v1/events_pb.ts";
import { type Announcement, announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import { toPaymentEvent } from "./messages.ts";
import type { Payment } from "./payment.ts";

/** What led to the events of a change; a call is one. */
export type Cause = Pick<Announcement, "correlationId" | "traceparent">;

const eventOfStatus = {
  AUTHORIZED: PaymentAuthorizedSchema,
  CAPTURED: PaymentCapturedSchema,
  VOIDED: PaymentVoidedSchema,
} as const;

/** Announces the change that brought a payment where it stands. */
export function announceChange(tx: Transaction, payment: Payment, cause: Cause): void {
  const about = aboutOf(payment, cause);
  const { status, declineReason } = payment;
  if (status === "DECLINED") {
    announce(tx, PaymentFailedSchema, { ...toPaymentEvent(payment), declineReason }, about);
  } else if (status === "AUTHORIZED" || status === "CAPTURED" || status === "VOIDED") {
    announce(tx, eventOfStatus[status], toPaymentEvent(payment), about);
  }
}

/** Announces that money was paid back; `payment` is as it stands afterwards. */
export function announceRefund(tx: Transaction, payment: Payment, cause: Cause): void {
  const refunded = { currencyCode: payment.amount.currencyCode, amountMinor: payment.refundedMinor };
  const about = aboutOf(payment, cause);
  announce(tx, PaymentRefundedSchema, { ...toPaymentEvent(payment), refunded }, about);
}

/** Version 1 is the intent, which nobody is told of; each later version is announced by one event. */
const aboutOf = ({ version }: Payment, { correlationId, traceparent }: Cause) => ({
  aggregateVersion: version,
  previousVersion: version === 2n ? 0n : version - 1n,
  correlationId,
  traceparent,
});
