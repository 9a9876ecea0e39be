import type { Database } from "#kit/postgres/postgres.ts";
import type { Verdict } from "#kit/reconciliation/definition.ts";
import { type LedgerAudit, readLedgerAudits } from "../ledger-audit-store.ts";

/** What a payment says was taken and paid back is what is booked. */
export async function judgeLedger(db: Database, paymentIds: readonly string[]): Promise<Verdict[]> {
  const audits = new Map((await readLedgerAudits(db, paymentIds)).map((audit) => [audit.paymentId, audit]));
  return paymentIds.map((subjectId) => ({ subjectId, discrepancy: complaint(audits.get(subjectId)) }));
}

function complaint(audit: LedgerAudit | undefined): string | undefined {
  if (!audit) return undefined;
  const { taken, refunded, bookedIn, bookedOut, sum, oneCurrency } = audit;
  const complaints = [
    taken !== bookedIn && `${taken} was taken, ${bookedIn} is booked as captured`,
    refunded !== bookedOut && `${refunded} was paid back, ${bookedOut} is booked as refunded`,
    sum !== 0n && `its entries add up to ${sum}`,
    !oneCurrency && "its entries are in another currency",
  ].filter((one) => one !== false);
  return complaints.length > 0 ? complaints.join("; ") : undefined;
}
