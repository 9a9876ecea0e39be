// What payments' statements do. Each follows the SQL of its name in services/payments/payment-store.ts and refund-store.ts.
import type { PaymentRow } from "../../../services/payments/payment-store.ts";
import type { Journal, StatementModels } from "../model-database.ts";

/** Payments' tables, by authorize key. A row without an amount is a void that came first. */
export interface PaymentTables {
  readonly payments: Map<string, PaymentRow>;
  /** Captures booked, by payment. */
  readonly booked: Map<string, number>;
  /** By `requestedBy requestKey`. */
  readonly refunds: Map<string, RefundRow>;
}

/** Money on its way back, or there. */
export interface RefundRow {
  readonly refund_id: string;
  readonly payment_id: string;
  readonly amount_minor: bigint;
  readonly status: "PENDING" | "SUCCEEDED" | "REFUSED";
}

export const createPaymentTables = (): PaymentTables => ({
  payments: new Map(),
  booked: new Map(),
  refunds: new Map(),
});

const asked = ({ amount_minor }: PaymentRow) => amount_minor !== null;

/** Models of the payment store's statements. */
export function paymentStatements(tables: PaymentTables, now: () => Date): StatementModels {
  const { payments } = tables;
  const find = (paymentId: string) =>
    [...payments.values()].filter((row) => row.payment_id === paymentId && asked(row));
  const meet = (row: PaymentRow, journal: Journal) => {
    const met = payments.get(row.authorize_key) ?? row;
    journal.put(payments, row.authorize_key, met);
    return [{ ...met, forgotten: false }];
  };
  return {
    "open-payments": ([id, orderId, key, customerId, amountMinor, currencyCode, paymentMethod], journal) =>
      meet(
        {
          ...blank(id, orderId, key, now()),
          customer_id: customerId,
          amount_minor: amountMinor,
          currency_code: currencyCode,
          payment_method: paymentMethod,
        },
        journal,
      ),
    "void-payment-ahead": ([id, orderId, key], journal) =>
      meet({ ...blank(id, orderId, key, now()), status: "VOIDED" }, journal),
    "move-payments": ([key, status, reference, declineReason, from], journal) => {
      const row = payments.get(key);
      if (!row || !(from as string).split(",").includes(row.status)) return [];
      return put(tables, journal, {
        ...moved(row, reference),
        status,
        decline_reason: declineReason,
      });
    },
    "capture-payments": ([key, reference], journal) => {
      const row = payments.get(key);
      if (row?.status !== "PENDING" && row?.status !== "AUTHORIZED") return [];
      journal.put(tables.booked, row.payment_id, (tables.booked.get(row.payment_id) ?? 0) + 1);
      return put(tables, journal, { ...moved(row, reference), status: "CAPTURED" });
    },
    "read-payments": ([paymentId]) => find(paymentId),
    "lock-payment": ([paymentId]) => find(paymentId),
    "read-payment-by-key": ([key]) =>
      [...payments.values()].filter((row) => row.authorize_key === key && asked(row)),
    ...refundStatements(tables, (paymentId) => find(paymentId)[0]),
  };
}

function refundStatements(
  tables: PaymentTables,
  find: (paymentId: string) => PaymentRow | undefined,
): StatementModels {
  const { refunds } = tables;
  const meet = (row: RefundRow | undefined) => (row ? [{ ...row, forgotten: false }] : []);
  const settle = (refundId: string, status: RefundRow["status"], journal: Journal) => {
    const [key, row] = [...refunds].find(([, { refund_id }]) => refund_id === refundId) ?? [];
    const payment = row && find(row.payment_id);
    if (!key || !payment || row.status !== "PENDING") return [];
    journal.put(refunds, key, { ...row, status });
    const refunding_minor = payment.refunding_minor - row.amount_minor;
    if (status === "REFUSED") return put(tables, journal, { ...payment, refunding_minor });
    const refunded_minor = payment.refunded_minor + row.amount_minor;
    const after = refunded_minor === payment.amount_minor ? ("REFUNDED" as const) : payment.status;
    const version = payment.version + 1n;
    return put(tables, journal, { ...payment, refunding_minor, refunded_minor, status: after, version });
  };
  return {
    "find-refund": ([requestedBy, requestKey]) => meet(refunds.get(`${requestedBy} ${requestKey}`)),
    "open-refund": ([refundId, paymentId, requestedBy, requestKey, amountMinor], journal) => {
      const key = `${requestedBy} ${requestKey}`;
      const payment = find(paymentId);
      if (!payment || refunds.has(key)) return [];
      put(tables, journal, { ...payment, refunding_minor: payment.refunding_minor + amountMinor });
      const asked = { refund_id: refundId, payment_id: paymentId, amount_minor: amountMinor };
      journal.put(refunds, key, { ...asked, status: "PENDING" });
      return meet(refunds.get(key));
    },
    "settle-refund": ([refundId], journal) => settle(refundId, "SUCCEEDED", journal),
    "refuse-refund": ([refundId], journal) => settle(refundId, "REFUSED", journal),
  };
}

const blank = (paymentId: string, orderId: string, key: string, at: Date): PaymentRow => ({
  payment_id: paymentId,
  order_id: orderId,
  authorize_key: key,
  customer_id: null,
  amount_minor: null,
  currency_code: null,
  status: "PENDING",
  payment_method: null,
  processor_reference: null,
  decline_reason: "",
  refunded_minor: 0n,
  refunding_minor: 0n,
  version: 1n,
  created_at: at,
  updated_at: at,
});

const moved = (row: PaymentRow, reference: string | null): PaymentRow => ({
  ...row,
  version: row.version + 1n,
  payment_method: null,
  processor_reference: reference ?? row.processor_reference,
});

function put({ payments }: PaymentTables, journal: Journal, row: PaymentRow) {
  journal.put(payments, row.authorize_key, row);
  return [row];
}
