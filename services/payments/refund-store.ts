import { keyReused } from "#kit/errors/errors.ts";
import { newId } from "#kit/ids/ids.ts";
import { type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";
import { processorMemoryMs } from "./card-processor.ts";
import type { Payment } from "./payment.ts";
import { columns, firstPayment, type PaymentRow } from "./payment-store.ts";

/** Who asked for a refund under which key: its natural key. */
export interface RefundRequest {
  readonly requestedBy: string;
  readonly requestKey: string;
}

/** One refund, whole or in part. */
export interface Refund {
  /** Also its idempotency key at the processor: a client's key never leaves the shop. */
  readonly refundId: string;
  readonly paymentId: string;
  readonly amountMinor: bigint;
  readonly status: "PENDING" | "SUCCEEDED" | "REFUSED";
  /** So old that the processor may have forgotten the key: search before asking again. */
  readonly forgotten: boolean;
}

/** A refund whose outcome is unknown, and what the processor knows its payment by. */
export interface PendingRefund extends Refund {
  readonly processorReference: string;
}

const refundColumns = `r.refund_id, r.payment_id, r.amount_minor, r.status,
  souk_now() - r.created_at > interval '${processorMemoryMs} milliseconds' as forgotten`;

const findStatement = statement(
  "find-refund",
  `select ${refundColumns} from refunds r where requested_by = $1 and request_key = $2`,
);

const openStatement = statement(
  "open-refund",
  `with held as (
     update payments set refunding_minor = refunding_minor + $5, updated_at = souk_now() where payment_id = $2
   )
   insert into refunds as r (refund_id, payment_id, requested_by, request_key, amount_minor, note, status, created_at, updated_at)
   select $1, $2, $3, $4, $5, $6, 'PENDING', souk_now, souk_now from souk_now()
   on conflict (requested_by, request_key) do nothing
   returning ${refundColumns}`,
);

const settleStatement = statement(
  "settle-refund",
  `with settled as (
     update refunds set status = 'SUCCEEDED', updated_at = souk_now() where refund_id = $1 and status = 'PENDING'
     returning payment_id, amount_minor
   ), paid as (
     update payments as p set
       refunding_minor = p.refunding_minor - settled.amount_minor, refunded_minor = p.refunded_minor + settled.amount_minor,
       status = case when p.refunded_minor + settled.amount_minor = p.amount_minor then 'REFUNDED' else p.status end,
       version = p.version + 1, updated_at = souk_now()
     from settled where p.payment_id = settled.payment_id
     returning ${columns}
   ), booked as (
     insert into ledger_transfers (payment_id, booking_id, kind, debit_account, credit_account, amount_minor, currency_code,
       booked_at)
     select paid.payment_id, $2, 'refund', debit, credit, settled.amount_minor, paid.currency_code, paid.updated_at
     from paid, settled, (values ('REVENUE', 'CUSTOMER'), ('CUSTOMER', 'PROCESSOR')) as transfer (debit, credit)
   )
   select * from paid`,
);

const refuseStatement = statement(
  "refuse-refund",
  `with refused as (
     update refunds set status = 'REFUSED', updated_at = souk_now() where refund_id = $1 and status = 'PENDING'
     returning payment_id, amount_minor
   )
   update payments as p set refunding_minor = p.refunding_minor - refused.amount_minor, updated_at = souk_now()
   from refused where p.payment_id = refused.payment_id`,
);

const pendingStatement = statement(
  "list-pending-refunds",
  `select ${refundColumns}, p.processor_reference from refunds r join payments p using (payment_id)
   where r.status = 'PENDING' and r.updated_at < souk_now() - $1 * interval '1 millisecond'
   order by r.updated_at limit $2`,
);

/** Finds the refund an earlier call opened. */
export async function findRefund(tx: Transaction, request: RefundRequest): Promise<Refund | undefined> {
  const [row] = await tx.query<RefundRow>(findStatement, [request.requestedBy, request.requestKey]);
  return row && toRefund(row);
}

/**
 * Opens a refund and holds its amount; the payment must be locked.
 * @throws ServiceError IDEMPOTENCY_KEY_REUSED when another payment's refund took the key at this moment.
 */
export async function openRefund(
  tx: Transaction,
  refund: RefundRequest & { readonly paymentId: string; readonly amountMinor: bigint; readonly note: string },
): Promise<Refund> {
  const { paymentId, requestedBy, requestKey, amountMinor, note } = refund;
  const values = [newId("refund"), paymentId, requestedBy, requestKey, amountMinor, note];
  const [row] = await tx.query<RefundRow>(openStatement, values);
  if (!row) throw keyReused();
  return toRefund(row);
}

/** Records that a refund was paid and books it; undefined when that was done before. */
export async function settleRefund(tx: Transaction, refundId: string): Promise<Payment | undefined> {
  return firstPayment(await tx.query<PaymentRow>(settleStatement, [refundId, newId("booking")]));
}

/** Records that the processor refused a refund, and releases its amount. */
export async function refuseRefund(tx: Transaction, refundId: string): Promise<void> {
  await tx.query(refuseStatement, [refundId]);
}

/** Lists refunds that have been pending for `olderThanMs`, oldest first. */
export async function listPendingRefunds(
  source: Queryable,
  olderThanMs: number,
  limit: number,
): Promise<PendingRefund[]> {
  const rows = await source.query<RefundRow & { processor_reference: string }>(pendingStatement, [
    olderThanMs,
    limit,
  ]);
  return rows.map((row) => ({ ...toRefund(row), processorReference: row.processor_reference }));
}

interface RefundRow {
  refund_id: string;
  payment_id: string;
  amount_minor: bigint;
  status: Refund["status"];
  forgotten: boolean;
}

const toRefund = (row: RefundRow): Refund => ({
  refundId: row.refund_id,
  paymentId: row.payment_id,
  amountMinor: row.amount_minor,
  status: row.status,
  forgotten: row.forgotten,
});
