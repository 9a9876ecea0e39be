/**
 * Dead letters: events that a consumer could not apply, set aside so that they stop nothing, with all that a person needs to
 * decide what becomes of them.
 */
import type { Queryable } from "#kit/postgres/postgres.ts";
import { selectDeadLetter, selectDeadLetterPage } from "./dead-letter-statements.ts";

/** Where a dead letter stands. */
export type DeadLetterStatus = "waiting" | "replayed" | "discarded";

/** Something that happened to a dead letter. */
export interface DeadLetterAction {
  /** ISO 8601. */
  readonly at: string;
  /** An operator's subject, or the service's name. */
  readonly actor: string;
  readonly action: "set aside" | "replayed" | "replay failed" | "discarded";
  /** The error's text, or the operator's reason. */
  readonly detail: string;
}

/** An event that a consumer could not apply. */
export interface DeadLetter {
  readonly deadLetterId: string;
  /** The durable consumer that was offered it. */
  readonly consumer: string;
  /** Empty where the message had none. */
  readonly eventId: string;
  readonly eventType: string;
  readonly aggregateId: string;
  /** 0 where the message had none. */
  readonly aggregateVersion: bigint;
  readonly status: DeadLetterStatus;
  /** The last error's reason. */
  readonly reason: string;
  /** The last error's text, safe to show. */
  readonly message: string;
  readonly deliveries: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  readonly history: readonly DeadLetterAction[];
  readonly createdAt: Date;
}

/** One dead letter, or undefined. */
export async function readDeadLetter(
  source: Queryable,
  deadLetterId: string,
): Promise<DeadLetter | undefined> {
  const [letter] = await source.query<DeadLetter>(selectDeadLetter, [deadLetterId]);
  return letter;
}

/** Dead letters of one status, newest first, from before the given one. */
export const readDeadLetterPage = (
  source: Queryable,
  page: { readonly status: DeadLetterStatus; readonly beforeId: string | undefined; readonly limit: number },
): Promise<DeadLetter[]> =>
  source.query<DeadLetter>(selectDeadLetterPage, [page.status, page.beforeId ?? null, page.limit]);
