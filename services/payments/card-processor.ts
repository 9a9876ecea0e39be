import type { Deadline } from "#kit/time/time.ts";
import type { DeclineReason, Money, ProcessorTruth } from "./payment.ts";

/** A charge to be set aside. Repeating it with the same key has no further effect and gets the first answer. */
export interface Authorization {
  readonly key: string;
  readonly orderId: string;
  readonly amount: Money;
  readonly paymentMethod: string;
}

/** A command about a payment the processor knows. */
export interface ProcessorCommand {
  readonly key: string;
  readonly reference: string;
}

/** How a refund ended. */
export type RefundOutcome = "paid back" | "refused";

/** What a capture came to: the processor's word, and why the bank refused when the amount is still only held. */
export interface CaptureOutcome {
  readonly truth: ProcessorTruth;
  readonly refusedFor: DeclineReason | undefined;
}

/** What the processor has on its books about one payment. */
export interface ProcessorRecord {
  /** The processor's id of it. */
  readonly reference: string;
  /** The authorization's key; undefined for a payment that somebody else asked for. */
  readonly key: string | undefined;
  /** `undecided` while the processor itself does not know. */
  readonly standing: ProcessorTruth["standing"] | "undecided";
  /** What was taken, where it was; what was asked for otherwise. */
  readonly amount: Money;
  /** How much of what was taken was paid back. */
  readonly refundedMinor: bigint;
}

/**
 * The card processor, as far as payments needs it. Every method repeats safely with its key. They answer what is true at
 * the processor afterwards, also when that is not what was asked for (a captured payment cannot be released: `taken`).
 * All throw ServiceError DEPENDENCY_UNAVAILABLE (retryable) when the outcome is unknown: no answer in time, or a fault
 * there; IDEMPOTENCY_KEY_IN_USE (retryable too) while an earlier request under the key is still being carried out.
 */
export interface CardProcessor {
  authorize(authorization: Authorization, deadline: Deadline): Promise<ProcessorTruth>;
  capture(command: ProcessorCommand, deadline: Deadline): Promise<CaptureOutcome>;
  void(command: ProcessorCommand, deadline: Deadline): Promise<ProcessorTruth>;
  refund(command: ProcessorCommand & { amountMinor: bigint }, deadline: Deadline): Promise<RefundOutcome>;
  /** Finds a payment by its authorization's key, long after; undefined when it never arrived. */
  find(key: string, deadline: Deadline): Promise<ProcessorTruth | undefined>;
  /** Whether a refund under this key arrived, long after. */
  findRefund(command: ProcessorCommand, deadline: Deadline): Promise<boolean>;
  /** Its records made within a time, to the second and both ends included, newest first, page by page. */
  list(
    within: { readonly from: Date | undefined; readonly to: Date | undefined },
    deadline: Deadline,
  ): AsyncIterable<readonly ProcessorRecord[]>;
  /** One record, by its reference, or, where that is unknown, by its authorization's key; undefined when there is none. */
  look(
    name: { readonly key: string | undefined; readonly reference: string | undefined },
    deadline: Deadline,
  ): Promise<ProcessorRecord | undefined>;
  /** Closes idle connections. */
  close(): void;
}

/** For how long a repeat under the same key is sure to have no further effect there; it forgets keys after 24 hours. */
export const processorMemoryMs = 23 * 60 * 60 * 1000;
