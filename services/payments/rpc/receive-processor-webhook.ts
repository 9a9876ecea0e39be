import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { command } from "#kit/service/handlers.ts";
import { type Money, statusAfter, webhookContradictsPayment } from "../payment.ts";
import { readPaymentByKey } from "../payment-store.ts";
import { checkSignature, type ProcessorNews, readNews } from "../stripe/webhook.ts";
import { recordTruth } from "../truth.ts";
import type { KnownPayment } from "../under-way.ts";
import { rememberProcessorEvent } from "../webhook-store.ts";
import type { PaymentsParts } from "./parts.ts";

/**
 * Takes in what the processor says on its own account. Nearly always the command that caused it has recorded it before, so
 * that path costs no statement; what is late news moves the payment forward, never back.
 */
export const receiveProcessorWebhook = (parts: PaymentsParts) =>
  command(PaymentsService.method.receiveProcessorWebhook, {
    async prepare({ payload }, call) {
      const bytes = payload?.data ?? new Uint8Array();
      checkSignature(bytes, call.metadata("stripe-signature"), parts.webhookSecret.reveal(), Date.now());
      return await lateNews(parts, readNews(bytes));
    },
    async apply(tx, _request, call, late) {
      if (!late || !(await rememberProcessorEvent(tx, late.news))) return {};
      const { authorizeKey, truth } = late.news;
      const { status } = late;
      await recordTruth(tx, { authorizeKey, status }, truth, call);
      return {};
    },
  });

async function lateNews({ db, underWay }: PaymentsParts, news: ProcessorNews | undefined) {
  if (!news) return undefined;
  const { authorizeKey } = news;
  const known = await underWay.outcomeOf(authorizeKey);
  if (known && !isLate(known, news)) return undefined;
  const payment = await readPaymentByKey(db, authorizeKey);
  return payment && isLate(payment, news) ? { news, status: payment.status } : undefined;
}

/** @throws ServiceError WEBHOOK_CONTRADICTS_PAYMENT when the news is about another amount than the payment's. */
function isLate({ status, amount }: KnownPayment, news: ProcessorNews): boolean {
  if (!isSameMoney(amount, news.amount)) throw webhookContradictsPayment();
  return statusAfter(status, news.truth) !== undefined;
}

const isSameMoney = (a: Money, b: Money) =>
  a.amountMinor === b.amountMinor && a.currencyCode === b.currencyCode;
