import type { Database } from "#kit/postgres/postgres.ts";
import { inFew, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { CardProcessor, ProcessorRecord } from "../card-processor.ts";
import type { Payment, PaymentStatus } from "../payment.ts";
import { readRestingPayments } from "../processor-audit-store.ts";
import { show } from "./money.ts";

/** Two clocks: the shop's row is written just before the processor's record. */
const beforeMs = 1_000;
const afterMs = 5_000;
const maxListPages = 8;

/** Each of our payments at rest is known to the processor as we know it. */
export async function judgePayments(
  { db, processor }: { readonly db: Database; readonly processor: CardProcessor },
  paymentIds: readonly string[],
  { graceMs, deadline }: Scope,
): Promise<Verdict[]> {
  const { resting, busyIds } = await readRestingPayments(db, paymentIds, graceMs);
  const records = await recordsOf(processor, resting, deadline);
  const verdicts = resting.flatMap((payment): Verdict[] => {
    const record = records.get(payment.paymentId);
    // The processor has not decided: nothing can be said yet.
    if (record?.standing === "undecided") return [];
    return [{ subjectId: payment.paymentId, discrepancy: complaint(payment, record) }];
  });
  const seen = new Set([...busyIds, ...resting.map(({ paymentId }) => paymentId)]);
  const gone = paymentIds.filter((id) => !seen.has(id));
  return [...verdicts, ...gone.map((subjectId) => ({ subjectId, discrepancy: undefined }))];
}

/** Most are on the list of the time they were made in; who is not there is asked for one by one. */
async function recordsOf(processor: CardProcessor, payments: readonly Payment[], deadline: Deadline) {
  const listed = await listAround(processor, payments, deadline);
  const byReference = new Map(listed.map((record) => [record.reference, record]));
  const byKey = new Map(listed.map((record) => [record.key, record]));
  const found = new Map<string, ProcessorRecord | undefined>();
  const missing: Payment[] = [];
  for (const payment of payments) {
    const { authorizeKey: key, processorReference: reference } = payment;
    const record = reference === undefined ? byKey.get(key) : byReference.get(reference);
    if (record) found.set(payment.paymentId, record);
    else missing.push(payment);
  }
  await inFew(missing, async ({ paymentId, authorizeKey: key, processorReference: reference }) => {
    found.set(paymentId, await processor.look({ key, reference }, deadline));
  });
  return found;
}

async function listAround(processor: CardProcessor, payments: readonly Payment[], deadline: Deadline) {
  if (payments.length === 0) return [];
  const times = payments.map(({ createdAt }) => createdAt.getTime());
  const from = new Date(Math.min(...times) - beforeMs);
  const to = new Date(Math.max(...times) + afterMs);
  const records: ProcessorRecord[] = [];
  let pages = 0;
  for await (const page of processor.list({ from, to }, deadline)) {
    records.push(...page);
    pages += 1;
    if (pages === maxListPages) break;
  }
  return records;
}

const standingOfStatus: Readonly<Record<PaymentStatus, ProcessorRecord["standing"] | undefined>> = {
  // The outcome is not known here; whatever the processor knows is news.
  PENDING: undefined,
  AUTHORIZED: "held",
  CAPTURED: "taken",
  REFUNDED: "taken",
  DECLINED: "declined",
  VOIDED: "released",
};

function complaint(payment: Payment, record: ProcessorRecord | undefined): string | undefined {
  const { status, amount, refundedMinor, processorReference } = payment;
  if (!record) return processorReference && `the card processor does not know ${processorReference}`;
  const { standing } = record;
  const taken = standing === "taken";
  const sameMoney =
    amount.amountMinor === record.amount.amountMinor && amount.currencyCode === record.amount.currencyCode;
  const complaints = [
    standing !== standingOfStatus[status] && `it is ${status} here, ${standing} there`,
    !sameMoney && `its amount is ${show(amount)} here, ${show(record.amount)} there`,
    taken &&
      refundedMinor !== record.refundedMinor &&
      `${refundedMinor} was paid back here, ${record.refundedMinor} there`,
  ].filter((one) => one !== false);
  return complaints.length > 0 ? complaints.join("; ") : undefined;
}
