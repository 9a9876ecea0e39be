import { type Queryable, statement } from "#kit/postgres/postgres.ts";

/** One side of a transfer between two accounts. */
export interface LedgerEntry {
  readonly bookingId: string;
  readonly account: "CUSTOMER" | "PROCESSOR" | "REVENUE";
  /** Minor units: positive for debit, negative for credit. */
  readonly amountMinor: bigint;
  readonly currencyCode: string;
  readonly kind: "capture" | "refund";
  readonly bookedAt: Date;
}

const maxEntries = 1_000;

const listStatement = statement(
  "list-ledger-entries",
  `select booking_id, account, amount_minor, currency_code, kind, booked_at from ledger_entries
   where payment_id = $1 order by booked_at, booking_id, account, amount_minor desc limit ${maxEntries}`,
);

interface EntryRow {
  booking_id: string;
  account: LedgerEntry["account"];
  amount_minor: bigint;
  currency_code: string;
  kind: LedgerEntry["kind"];
  booked_at: Date;
}

/** Lists the entries of a payment, oldest booking first. */
export async function listLedgerEntries(source: Queryable, paymentId: string): Promise<LedgerEntry[]> {
  const rows = await source.query<EntryRow>(listStatement, [paymentId]);
  return rows.map((row) => ({
    bookingId: row.booking_id,
    account: row.account,
    amountMinor: row.amount_minor,
    currencyCode: row.currency_code,
    kind: row.kind,
    bookedAt: row.booked_at,
  }));
}
