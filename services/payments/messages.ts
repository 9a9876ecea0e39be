import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Money as MoneyMessage } from "#gen/souk/commerce/v1/commerce_pb.ts";
import {
  type AuthorizePaymentRequest,
  LedgerAccount,
  type LedgerEntrySchema,
  type PaymentSchema,
  PaymentStatus,
} from "#gen/souk/payments/v1/payments_pb.ts";
import type { LedgerEntry } from "./ledger-store.ts";
import type { Money, Payment, PaymentRequest } from "./payment.ts";

/** A payment as callers see it. */
export function toPaymentMessage(payment: Payment): MessageInitShape<typeof PaymentSchema> {
  const { currencyCode } = payment.amount;
  return {
    paymentId: payment.paymentId,
    orderId: payment.orderId,
    customerId: payment.customerId,
    status: PaymentStatus[payment.status],
    amount: payment.amount,
    refunded: { currencyCode, amountMinor: payment.refundedMinor },
    declineReason: payment.declineReason,
    createdAt: timestampFromDate(payment.createdAt),
    updatedAt: timestampFromDate(payment.updatedAt),
  };
}

/** A ledger entry as callers see it. */
export function toLedgerEntryMessage(entry: LedgerEntry): MessageInitShape<typeof LedgerEntrySchema> {
  return { ...entry, account: LedgerAccount[entry.account], bookedAt: timestampFromDate(entry.bookedAt) };
}

/** What the payment's events carry. */
export function toPaymentEvent({ paymentId, orderId, customerId, amount }: Payment) {
  return { paymentId, orderId, customerId, amount };
}

/** What an authorization asks for, under the key it came with. */
export function fromAuthorizeRequest(request: AuthorizePaymentRequest, authorizeKey: string): PaymentRequest {
  return {
    orderId: request.orderId,
    customerId: request.customerId,
    amount: fromMoney(request.amount),
    authorizeKey,
  };
}

/** Money of a request; the contract has made sure that it is there. */
export function fromMoney(money: MoneyMessage | undefined): Money {
  return { currencyCode: money?.currencyCode ?? "", amountMinor: money?.amountMinor ?? 0n };
}
