// How the processor's word gets into the shop's books: asked for when it is unknown, recorded once, announced once.
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Deadline } from "#kit/time/time.ts";
import { announceChange, type Cause } from "./announcements.ts";
import type { CardProcessor } from "./card-processor.ts";
import { type Payment, type ProcessorTruth, statusAfter, statusesBefore } from "./payment.ts";
import { capturePayment, movePayment } from "./payment-store.ts";

/** A payment whose outcome the shop does not know. */
export interface OpenQuestion {
  readonly payment: Payment;
  /** The processor may have forgotten the key, so that repeating would charge again. */
  readonly forgotten: boolean;
}

/**
 * Finds out what became of an authorization by asking for it again under its key; after the processor's memory has
 * ended, by searching. Undefined when it never arrived there and was not asked again.
 * @throws ServiceError DEPENDENCY_UNAVAILABLE when that remains unknown.
 */
export async function askAgain(
  processor: CardProcessor,
  { payment, forgotten }: OpenQuestion,
  deadline: Deadline,
): Promise<ProcessorTruth | undefined> {
  return forgotten
    ? await processor.find(payment.authorizeKey, deadline)
    : await authorize(processor, payment, deadline);
}

/** Asks the processor to set a payment's amount aside. */
export function authorize(
  processor: CardProcessor,
  payment: Payment,
  deadline: Deadline,
): Promise<ProcessorTruth> {
  const { authorizeKey: key, orderId, amount, paymentMethod } = payment;
  if (paymentMethod === undefined)
    throw new Error(`payment ${payment.paymentId} is decided, its card is not kept`);
  return processor.authorize({ key, orderId, amount, paymentMethod }, deadline);
}

/**
 * Records what the processor says about a payment that stood at `status`, and announces it. Undefined when it is no news,
 * or no longer.
 */
export async function recordTruth(
  tx: Transaction,
  { authorizeKey, status }: Pick<Payment, "authorizeKey" | "status">,
  truth: ProcessorTruth,
  cause: Cause,
): Promise<Payment | undefined> {
  const to = statusAfter(status, truth);
  if (!to) return undefined;
  const moved =
    to === "CAPTURED"
      ? await capturePayment(tx, authorizeKey, truth.reference)
      : await movePayment(tx, authorizeKey, { from: statusesBefore(to), to, truth });
  if (moved) announceChange(tx, moved, cause);
  return moved;
}
