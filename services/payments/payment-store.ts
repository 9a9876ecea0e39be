import { newId } from "#kit/ids/ids.ts";
import {
  type BulkQueryable,
  type BulkStatement,
  type Queryable,
  statement,
  type Transaction,
} from "#kit/postgres/postgres.ts";
import { processorMemoryMs } from "./card-processor.ts";
import type { DeclineReason, Payment, PaymentRequest, PaymentStatus, ProcessorTruth } from "./payment.ts";

/** A payment as `openPayment` and `voidAhead` meet it, locked until the transaction ends. */
export interface MetPayment {
  /** Undefined when a void came before the authorization: there is nothing but its mark. */
  readonly payment: Payment | undefined;
  /** So old that the processor may have forgotten the key: search before asking again. */
  readonly forgotten: boolean;
}

/** One row of `payments`, as selected by `columns`. */
export interface PaymentRow {
  payment_id: string;
  order_id: string;
  authorize_key: string;
  customer_id: string | null;
  amount_minor: bigint | null;
  currency_code: string | null;
  status: PaymentStatus;
  payment_method: string | null;
  processor_reference: string | null;
  decline_reason: DeclineReason | "";
  refunded_minor: bigint;
  refunding_minor: bigint;
  version: bigint;
  created_at: Date;
  updated_at: Date;
}

/** The columns of `PaymentRow`, qualified with the alias `p`. */
export const columns = `p.payment_id, p.order_id, p.authorize_key, p.customer_id, p.amount_minor, p.currency_code, p.status,
  p.payment_method, p.processor_reference, p.decline_reason, p.refunded_minor, p.refunding_minor, p.version,
  p.created_at, p.updated_at`;

const forgotten = `(select souk_now()) - p.created_at > interval '${processorMemoryMs} milliseconds' as forgotten`;

type OpenedPayment = PaymentRequest & { readonly paymentId: string; readonly paymentMethod: string };

// The no-op update returns and locks the row of an earlier command, or waits for one that is being written now.
const openStatement: BulkStatement<OpenedPayment> = {
  name: "open-payments",
  text: `insert into payments as p (payment_id, order_id, authorize_key, customer_id, amount_minor, currency_code,
     payment_method, status, created_at, updated_at)
   select item.*, 'PENDING', clock.now, clock.now
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[]) as item,
     souk_now() as clock (now)
   on conflict (authorize_key) do update set authorize_key = p.authorize_key
   returning p.authorize_key as key, ${columns}, ${forgotten}`,
  keyOf: ({ authorizeKey }) => authorizeKey,
  columns: [
    ({ paymentId }) => paymentId,
    ({ orderId }) => orderId,
    ({ authorizeKey }) => authorizeKey,
    ({ customerId }) => customerId,
    ({ amount }) => amount.amountMinor,
    ({ amount }) => amount.currencyCode,
    ({ paymentMethod }) => paymentMethod,
  ],
};

const voidAheadStatement = statement(
  "void-payment-ahead",
  `insert into payments as p (payment_id, order_id, authorize_key, status, created_at, updated_at)
   select $1, $2, $3, 'VOIDED', souk_now, souk_now from souk_now()
   on conflict (authorize_key) do update set authorize_key = p.authorize_key
   returning ${columns}, ${forgotten}`,
);

interface Move {
  readonly authorizeKey: string;
  readonly from: readonly PaymentStatus[];
  readonly to: PaymentStatus;
  readonly truth: ProcessorTruth;
}

const moveStatement: BulkStatement<Move> = {
  name: "move-payments",
  text: `update payments as p set status = item.status, version = p.version + 1, updated_at = clock.now, payment_method = null,
     processor_reference = coalesce(item.reference, p.processor_reference), decline_reason = item.decline_reason
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       as item (authorize_key, status, reference, decline_reason, before),
     souk_now() as clock (now)
   where p.authorize_key = item.authorize_key and p.status = any(string_to_array(item.before, ','))
   returning p.authorize_key as key, ${columns}`,
  keyOf: ({ authorizeKey }) => authorizeKey,
  columns: [
    ({ authorizeKey }) => authorizeKey,
    ({ to }) => to,
    ({ truth }) => truth.reference ?? null,
    ({ truth }) => truth.declineReason,
    ({ from }) => from.join(),
  ],
};

interface Capture {
  readonly authorizeKey: string;
  readonly reference: string | undefined;
  readonly bookingId: string;
}

const captureStatement: BulkStatement<Capture> = {
  name: "capture-payments",
  text: `with captured as (
     update payments as p set status = 'CAPTURED', version = p.version + 1, updated_at = clock.now, payment_method = null,
       processor_reference = coalesce(item.reference, p.processor_reference)
     from unnest($1::text[], $2::text[], $3::text[]) as item (authorize_key, reference, booking_id),
       souk_now() as clock (now)
     where p.authorize_key = item.authorize_key and p.status in ('PENDING', 'AUTHORIZED')
     returning p.authorize_key as key, item.booking_id, ${columns}
   ), booked as (
     insert into ledger_transfers (payment_id, booking_id, kind, debit_account, credit_account, amount_minor, currency_code,
       booked_at)
     select payment_id, booking_id, 'capture', debit, credit, amount_minor, currency_code, updated_at
     from captured, (values ('CUSTOMER', 'REVENUE'), ('PROCESSOR', 'CUSTOMER')) as transfer (debit, credit)
   )
   select * from captured`,
  keyOf: ({ authorizeKey }) => authorizeKey,
  columns: [
    ({ authorizeKey }) => authorizeKey,
    ({ reference }) => reference ?? null,
    ({ bookingId }) => bookingId,
  ],
};

const readStatement: BulkStatement<string> = {
  name: "read-payments",
  text: `select p.payment_id as key, ${columns} from payments p where payment_id = any($1) and amount_minor is not null`,
  keyOf: (paymentId) => paymentId,
  columns: [(paymentId) => paymentId],
};

const readByKeyStatement = statement(
  "read-payment-by-key",
  `select ${columns} from payments p where authorize_key = $1 and amount_minor is not null`,
);

const readByOrdersStatement = statement(
  "read-payments-by-orders",
  `select ${columns} from payments p where order_id = any($1) and amount_minor is not null order by order_id, payment_id`,
);

const lockStatement = statement(
  "lock-payment",
  `select ${columns} from payments p where payment_id = $1 and amount_minor is not null for update`,
);

/** Records the intent to authorize, or finds what an earlier command or void left under the same key. */
export async function openPayment(
  tx: Transaction,
  request: PaymentRequest & { readonly paymentMethod: string },
): Promise<MetPayment> {
  return met(
    await tx.queryEach<MetRow, OpenedPayment>(openStatement, { ...request, paymentId: newId("payment") }),
  );
}

/** Finds the payment under a key, or marks the key so that its authorization meets the mark when it comes. */
export async function voidAhead(tx: Transaction, orderId: string, authorizeKey: string): Promise<MetPayment> {
  return met(await tx.query<MetRow>(voidAheadStatement, [newId("payment"), orderId, authorizeKey]));
}

/** Moves a payment that stands in one of `from`; undefined when it no longer does. */
export async function movePayment(
  tx: Transaction,
  authorizeKey: string,
  move: Omit<Move, "authorizeKey">,
): Promise<Payment | undefined> {
  return firstPayment(await tx.queryEach<PaymentRow, Move>(moveStatement, { authorizeKey, ...move }));
}

/** Records a capture and books it; undefined when the payment is no longer open, so that it is booked once. */
export async function capturePayment(
  tx: Transaction,
  authorizeKey: string,
  reference: string | undefined,
): Promise<Payment | undefined> {
  const capture = { authorizeKey, reference, bookingId: newId("booking") };
  return firstPayment(await tx.queryEach<PaymentRow, Capture>(captureStatement, capture));
}

/** Reads a payment by its id. */
export async function readPayment(source: BulkQueryable, paymentId: string): Promise<Payment | undefined> {
  return firstPayment(await source.queryEach<PaymentRow, string>(readStatement, paymentId));
}

/** Reads a payment by the key of its authorization. */
export async function readPaymentByKey(
  source: Queryable,
  authorizeKey: string,
): Promise<Payment | undefined> {
  return firstPayment(await source.query<PaymentRow>(readByKeyStatement, [authorizeKey]));
}

/** Reads the payments of some orders. */
export async function readPaymentsOfOrders(
  source: Queryable,
  orderIds: readonly string[],
): Promise<Payment[]> {
  return (await source.query<PaymentRow>(readByOrdersStatement, [orderIds])).map(toPayment);
}

/** Reads a payment and keeps others from changing it until the transaction ends. */
export async function lockPayment(tx: Transaction, paymentId: string): Promise<Payment | undefined> {
  return firstPayment(await tx.query<PaymentRow>(lockStatement, [paymentId]));
}

/** The payment in the first row, if there is one. */
export function firstPayment([row]: readonly PaymentRow[]): Payment | undefined {
  return row && toPayment(row);
}

type MetRow = PaymentRow & { forgotten: boolean };

function met([row]: readonly MetRow[]): MetPayment {
  if (!row) throw new Error("an insert that updates on conflict returned no row");
  return { payment: row.amount_minor === null ? undefined : toPayment(row), forgotten: row.forgotten };
}

function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: row.payment_id,
    orderId: row.order_id,
    authorizeKey: row.authorize_key,
    customerId: row.customer_id ?? "",
    amount: { amountMinor: row.amount_minor ?? 0n, currencyCode: row.currency_code ?? "" },
    status: row.status,
    paymentMethod: row.payment_method ?? undefined,
    processorReference: row.processor_reference ?? undefined,
    declineReason: row.decline_reason,
    refundedMinor: row.refunded_minor,
    refundingMinor: row.refunding_minor,
    version: row.version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
