import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { type Deadline, deadlineIn } from "#kit/time/time.ts";
import { announceRefund, type Cause } from "./announcements.ts";
import type { CardProcessor, RefundOutcome } from "./card-processor.ts";
import type { Payment } from "./payment.ts";
import {
  listPendingRefunds,
  type PendingRefund,
  type Refund,
  refuseRefund,
  settleRefund,
} from "./refund-store.ts";

/** Pays a refund out, once, however often it is called for. */
export async function payBack(
  processor: CardProcessor,
  reference: string,
  { refundId: key, amountMinor, forgotten }: Refund,
  deadline: Deadline,
): Promise<RefundOutcome> {
  if (forgotten && (await processor.findRefund({ key, reference }, deadline))) return "paid back";
  return await processor.refund({ key, reference, amountMinor }, deadline);
}

/** Records a refund's outcome and announces a payment back; undefined when that was done before, or it was refused. */
export async function recordRefund(
  tx: Transaction,
  refundId: string,
  outcome: RefundOutcome,
  cause: Cause,
): Promise<Payment | undefined> {
  if (outcome === "refused") {
    await refuseRefund(tx, refundId);
    return undefined;
  }
  const payment = await settleRefund(tx, refundId);
  if (payment) announceRefund(tx, payment, cause);
  return payment;
}

/** Young ones still have a caller who waits. */
const abandonedAfterMs = 60_000;
const maxPerRun = 20;
const attemptTimeoutMs = 10_000;

/**
 * Finishes refunds whose caller never came back to learn their outcome.
 * @throws AggregateError of those that stay unknown, after all others are done.
 */
export async function finishAbandonedRefunds(parts: RefundParts): Promise<void> {
  const abandoned = await listPendingRefunds(parts.db, abandonedAfterMs, maxPerRun);
  const finished = await Promise.allSettled(abandoned.map((refund) => finish(parts, refund)));
  const failures = finished.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason);
  if (failures.length > 0) throw new AggregateError(failures, "refunds remain unfinished");
}

interface RefundParts {
  readonly db: Database;
  readonly processor: CardProcessor;
}

async function finish({ db, processor }: RefundParts, refund: PendingRefund): Promise<void> {
  const { refundId, processorReference } = refund;
  const outcome = await payBack(processor, processorReference, refund, deadlineIn(attemptTimeoutMs));
  const cause = { correlationId: refundId, traceparent: undefined };
  await db.transaction((tx) => recordRefund(tx, refundId, outcome, cause));
}
