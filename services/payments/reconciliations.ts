import { lowestId } from "#kit/ids/ids.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { idPages, type Reconciliation } from "#kit/reconciliation/definition.ts";
import type { CardProcessor } from "./card-processor.ts";
import { readPaymentIds } from "./ledger-audit-store.ts";
import { judgeLedger } from "./reconciliation/ledger.ts";
import { judgePayments } from "./reconciliation/payments.ts";
import { judgeStrangers, strangers } from "./reconciliation/strangers.ts";

/** What payments compares, and with whom. */
export interface PaymentReconciliationParts {
  readonly db: Database;
  readonly processor: CardProcessor;
}

/** What payments compares: its payments with its ledger and with the card processor's, and the processor's with its own. */
export const paymentReconciliations = (parts: PaymentReconciliationParts): Reconciliation[] => [
  {
    name: "payments-with-ledger",
    everyMs: 60_000,
    subjects: ({ since }) => paymentIds(parts, since),
    judge: (ids) => judgeLedger(parts.db, ids),
  },
  {
    name: "payments-with-processor",
    everyMs: 60_000,
    subjects: ({ since }) => paymentIds(parts, since),
    judge: (ids, scope) => judgePayments(parts, ids, scope),
  },
  {
    name: "processor-with-payments",
    everyMs: 60_000,
    subjects: (scope) => strangers(parts, scope),
    judge: (references, scope) => judgeStrangers(parts, references, scope),
  },
];

const paymentIds = ({ db }: PaymentReconciliationParts, since: Date | undefined) =>
  idPages(since ? lowestId("payment", since) : "", (after, limit) => readPaymentIds(db, after, limit));
