import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { query } from "#kit/service/handlers.ts";
import { listLedgerEntries } from "./ledger-store.ts";
import { toLedgerEntryMessage, toPaymentMessage } from "./messages.ts";
import { type Payment, paymentNotFound } from "./payment.ts";
import { readPayment, readPaymentsOfOrders } from "./payment-store.ts";
import { authorizePayment } from "./rpc/authorize-payment.ts";
import { capturePayment } from "./rpc/capture-payment.ts";
import type { PaymentsParts } from "./rpc/parts.ts";
import { receiveProcessorWebhook } from "./rpc/receive-processor-webhook.ts";
import { refundPayment } from "./rpc/refund-payment.ts";
import { voidPayment } from "./rpc/void-payment.ts";

/** The handlers of PaymentsService. */
export const paymentsRpc = (parts: PaymentsParts) => ({
  getPayment: getPayment(parts),
  listLedgerEntries: listEntries(parts),
  refundPayment: refundPayment(parts),
  receiveProcessorWebhook: receiveProcessorWebhook(parts),
  authorizePayment: authorizePayment(parts),
  capturePayment: capturePayment(parts),
  voidPayment: voidPayment(parts),
  batchGetPayments: batchGetPayments(parts),
});

const getPayment = ({ db }: { db: Database }) =>
  query(PaymentsService.method.getPayment, async ({ paymentId }, call) => {
    const payment = await readPayment(db, paymentId);
    if (!payment || !maySee(payment, call)) throw paymentNotFound(paymentId);
    return { payment: toPaymentMessage(payment) };
  });

const batchGetPayments = ({ db }: { db: Database }) =>
  query(PaymentsService.method.batchGetPayments, async ({ orderIds }) => ({
    payments: (await readPaymentsOfOrders(db, orderIds)).map(toPaymentMessage),
  }));

const listEntries = ({ db }: { db: Database }) =>
  query(PaymentsService.method.listLedgerEntries, async ({ paymentId }) => {
    const [payment, entries] = await Promise.all([
      readPayment(db, paymentId),
      listLedgerEntries(db, paymentId),
    ]);
    if (!payment) throw paymentNotFound(paymentId);
    return { entries: entries.map(toLedgerEntryMessage) };
  });

/** Customers see their own payments; whoever may refund sees all. */
const maySee = ({ customerId }: Payment, { principal }: Call) =>
  principal?.subject === customerId || principal?.scopes.has("payments:refund") === true;
