import type { Database } from "#kit/postgres/postgres.ts";
import { idPages, type Reconciliation, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import { moveCheckpoints, readSkus, readStockAudits, type StockAudit } from "./stock-audit-store.ts";

/** What inventory compares within its own walls; orders compares its reservations with the orders they are for. */
export const inventoryReconciliations = (db: Database): Reconciliation[] => [
  {
    name: "stock-with-movements",
    everyMs: 60_000,
    subjects: () => idPages("", (after, limit) => readSkus(db, after, limit)),
    judge: (skus, scope) => judgeStock(db, skus, scope),
  },
];

async function judgeStock(db: Database, skus: readonly string[], { since }: Scope): Promise<Verdict[]> {
  const audits = await readStockAudits(db, skus, since === undefined);
  const verdicts = new Map(audits.map((audit) => [audit.sku, complaint(audit)]));
  const [sound, broken] = [audits.filter((one) => !complaint(one)), audits.filter(complaint)];
  await db.transaction((tx) => moveCheckpoints(tx, { sound, broken }));
  return skus.map((subjectId) => ({ subjectId, discrepancy: verdicts.get(subjectId) }));
}

function complaint({ onHand, reserved, moved, held }: StockAudit): string | undefined {
  const complaints = [
    onHand !== moved && `${onHand} pieces on hand, movements add up to ${moved}`,
    reserved !== held && `${reserved} pieces reserved, held reservations add up to ${held}`,
    (reserved < 0 || reserved > onHand) && `${reserved} pieces reserved of ${onHand} on hand`,
  ].filter((one) => one !== false);
  return complaints.length > 0 ? complaints.join("; ") : undefined;
}
