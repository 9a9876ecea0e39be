import { type Queryable, statement } from "#kit/postgres/postgres.ts";

/** A payment beside what the ledger says of it; amounts in minor units. */
export interface LedgerAudit {
  readonly paymentId: string;
  /** What its status says was taken. */
  readonly taken: bigint;
  readonly refunded: bigint;
  /** What the ledger has as held by the processor: captures, and refunds. */
  readonly bookedIn: bigint;
  readonly bookedOut: bigint;
  /** Sum of all its entries: zero. */
  readonly sum: bigint;
  /** Whether every entry is in the payment's currency. */
  readonly oneCurrency: boolean;
}

const selectIds = statement(
  "payments-select-ids",
  `select payment_id as "paymentId" from payments where payment_id > $1 and amount_minor is not null
    order by payment_id limit $2`,
);

/** One statement, so one snapshot: a payment and its bookings change in one transaction. */
const selectAudits = statement(
  "payments-select-ledger-audits",
  `select p.payment_id as "paymentId", p.refunded_minor as refunded, booked."in" as "bookedIn", booked."out" as "bookedOut",
          booked.sum, booked.one_currency as "oneCurrency",
          case when p.status in ('CAPTURED', 'REFUNDED') then p.amount_minor else 0 end as taken
     from payments p
     cross join lateral (
       select coalesce(sum(amount_minor) filter (where account = 'PROCESSOR' and kind = 'capture'), 0)::bigint as "in",
              coalesce(-sum(amount_minor) filter (where account = 'PROCESSOR' and kind = 'refund'), 0)::bigint as "out",
              coalesce(sum(amount_minor), 0)::bigint as sum,
              coalesce(bool_and(e.currency_code = p.currency_code), true) as one_currency
         from ledger_entries e where e.payment_id = p.payment_id) as booked
    where p.payment_id = any($1) and p.amount_minor is not null`,
);

/** Ids of payments behind `after`, in order. */
export async function readPaymentIds(source: Queryable, after: string, limit: number): Promise<string[]> {
  const rows = await source.query<{ paymentId: string }>(selectIds, [after, limit]);
  return rows.map(({ paymentId }) => paymentId);
}

/** Reads some payments with what the ledger says of them. */
export const readLedgerAudits = (source: Queryable, paymentIds: readonly string[]): Promise<LedgerAudit[]> =>
  source.query<LedgerAudit>(selectAudits, [paymentIds]);
