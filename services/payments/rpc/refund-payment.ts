import { PaymentsService, type RefundPaymentRequest } from "#gen/souk/payments/v1/payments_pb.ts";
import { keyReused } from "#kit/errors/errors.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import { command, refusal } from "#kit/service/handlers.ts";
import { fromMoney, toPaymentMessage } from "../messages.ts";
import { type Payment, paymentNotFound, refundableAmount, refundExceedsCapture } from "../payment.ts";
import { lockPayment, readPayment } from "../payment-store.ts";
import { findRefund, openRefund, type Refund, type RefundRequest } from "../refund-store.ts";
import { payBack, recordRefund } from "../refund-truth.ts";
import { keyOf, type PaymentsParts, subjectOf } from "./parts.ts";

/** Pays back a captured payment, whole or in part; refunds asked for at once never exceed the capture together. */
export const refundPayment = ({ processor }: PaymentsParts) =>
  command(PaymentsService.method.refundPayment, {
    async intend(tx, request, call) {
      const asked = { requestedBy: subjectOf(call), requestKey: keyOf(call) };
      return await openOrFind(tx, request, asked);
    },
    async prepare(_request, call, { payment, refund }) {
      if (refund.status !== "PENDING") return { refund, outcome: undefined };
      return { refund, outcome: await payBack(processor, referenceOf(payment), refund, call.deadline) };
    },
    async apply(tx, { paymentId }, call, { refund, outcome }) {
      const settled = outcome && (await recordRefund(tx, refund.refundId, outcome, call));
      const payment = settled ?? (await readPayment(tx, paymentId));
      if (!payment) throw paymentNotFound(paymentId);
      if (outcome === "refused" || refund.status === "REFUSED") return refusal(refundExceedsCapture(0n));
      return { payment: toPaymentMessage(payment) };
    },
  });

async function openOrFind(tx: Transaction, request: RefundPaymentRequest, asked: RefundRequest) {
  const { paymentId, note } = request;
  const [payment, earlier] = await Promise.all([lockPayment(tx, paymentId), findRefund(tx, asked)]);
  if (!payment) throw paymentNotFound(paymentId);
  if (earlier) return { payment, refund: sameRefund(earlier, request) };
  const amountMinor = refundableAmount(payment, request.amount && fromMoney(request.amount));
  return { payment, refund: await openRefund(tx, { ...asked, paymentId, amountMinor, note }) };
}

function sameRefund(refund: Refund, { paymentId, amount }: RefundPaymentRequest): Refund {
  if (refund.paymentId !== paymentId || (amount && amount.amountMinor !== refund.amountMinor))
    throw keyReused();
  return refund;
}

function referenceOf({ processorReference, paymentId }: Payment): string {
  if (processorReference === undefined)
    throw new Error(`payment ${paymentId} was captured without a reference`);
  return processorReference;
}
