/**
 * Dead letters: events that a consumer could not apply, set aside so that they stop nothing, with all that a person needs to
 * decide what becomes of them.
 *
 * Guarantee: the row is committed before the server is told to stop offering the event. A crash between the two sets it aside
 * once more, which the row's key drops.
 */
import { createHash } from "node:crypto";
import { ServiceError, toServiceError } from "#kit/errors/errors.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Queryable } from "#kit/postgres/postgres.ts";
import {
  countWaitingAfter,
  insertDeadLetter,
  lockDeadLetter,
  selectDeadLetter,
  selectDeadLetterPage,
  selectWaiting,
  updateDeadLetter,
} from "./dead-letter-statements.ts";
import { type Claim, claimOf, EventUnreadable } from "./delivery.ts";
import type { OfferedEvent } from "./offered.ts";
import { knowAggregate } from "./statements.ts";

/** Where a dead letter stands. */
export type DeadLetterStatus = "waiting" | "replayed" | "discarded";

/** What can be done with a dead letter. */
export type DeadLetterVerb = "set aside" | "replayed" | "replay failed" | "discarded";

/** Something that happened to a dead letter. */
export interface DeadLetterAction {
  /** ISO 8601. */
  readonly at: string;
  /** An operator's subject, or the service's name. */
  readonly actor: string;
  readonly action: DeadLetterVerb;
  /** The error's text, or the operator's reason. */
  readonly detail: string;
}

/** An event that a consumer could not apply. */
export interface DeadLetter extends OfferedEvent {
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
  readonly history: readonly DeadLetterAction[];
  readonly createdAt: Date;
}

/** The handler ended its process, as often as an event is allowed to. */
export class HandlerDied extends Error {
  override readonly name = "HandlerDied";
}

/** Who sets an event aside, and why. */
export interface SettingAside {
  readonly service: string;
  readonly durable: string;
  readonly offered: OfferedEvent;
  readonly error: unknown;
}

/** Sets an event aside; false where it was set aside before. What its aggregate does later waits until it is settled. */
export async function setAside(
  tx: Queryable,
  { service, durable, offered, error }: SettingAside,
): Promise<boolean> {
  const { headers, payload, stream, subject, deliveries } = offered;
  const claim = claimOf(headers);
  const { reason, message } = describe(error);
  const rows = await tx.query(insertDeadLetter, [
    newId("letter"),
    durable,
    headers["ce-id"] ?? "",
    digestOf(offered),
    stream,
    subject,
    headers["ce-type"] ?? "",
    headers["ce-subject"] ?? "",
    claim?.aggregateVersion ?? 0n,
    reason,
    message,
    deliveries,
    headers,
    payload,
    service,
  ]);
  await knowFromFirst(tx, durable, claim);
  return rows.length > 0;
}

/**
 * What comes behind an aggregate's first event is to wait for it; a later one of an aggregate that nobody here has heard of failed
 * before its turn, with others or for the database's sake.
 */
export async function knowFromFirst(tx: Queryable, durable: string, claim: Claim | undefined): Promise<void> {
  if (claim?.previousVersion === 0n) await tx.query(knowAggregate, [durable, claim.aggregateId, 0n]);
}

/** The same for each delivery of a message, also when it is published again; another for each other message. */
const digestOf = ({ subject, headers, payload }: OfferedEvent) =>
  createHash("sha256")
    .update(JSON.stringify([subject, headers]))
    .update(payload)
    .digest();

/** What an error may say outside this process: a declared one its text, any other only its name. */
export function describe(error: unknown): { reason: string; message: string } {
  if (error instanceof EventUnreadable) return { reason: "EVENT_UNREADABLE", message: error.message };
  if (error instanceof HandlerDied) return { reason: "HANDLER_DIED", message: error.message };
  const { reason, message } = toServiceError(error);
  if (error instanceof ServiceError || !(error instanceof Error)) return { reason, message };
  return { reason, message: `${message} (${error.name}; the log has the rest.)` };
}

/** One dead letter, or undefined; locked for the rest of the transaction where asked. */
export async function readDeadLetter(
  source: Queryable,
  deadLetterId: string,
  lock = false,
): Promise<DeadLetter | undefined> {
  const [letter] = await source.query<DeadLetter>(lock ? lockDeadLetter : selectDeadLetter, [deadLetterId]);
  return letter;
}

/** Dead letters of one status, newest first, from before the given one. */
export const readDeadLetterPage = (
  source: Queryable,
  page: { readonly status: DeadLetterStatus; readonly beforeId: string | undefined; readonly limit: number },
): Promise<DeadLetter[]> =>
  source.query<DeadLetter>(selectDeadLetterPage, [page.status, page.beforeId ?? null, page.limit]);

/** Which waiting dead letters are meant; the empty text means all. */
export interface WaitingFilter {
  readonly consumer: string;
  readonly eventType: string;
}

/** Waiting dead letters, oldest first, from behind the given one. */
export const readWaiting = (
  source: Queryable,
  { consumer, eventType }: WaitingFilter,
  afterId: string,
  limit: number,
): Promise<DeadLetter[]> => source.query<DeadLetter>(selectWaiting, [consumer, eventType, afterId, limit]);

/** How many more there are behind the given one. */
export async function countWaitingBehind(
  source: Queryable,
  { consumer, eventType }: WaitingFilter,
  afterId: string,
): Promise<number> {
  const [row] = await source.query<{ waiting: number }>(countWaitingAfter, [consumer, eventType, afterId]);
  return row?.waiting ?? 0;
}

/** Notes what was done with a dead letter, and where it stands now. */
export async function noteOnDeadLetter(
  tx: Queryable,
  deadLetterId: string,
  note: {
    readonly status: DeadLetterStatus;
    readonly actor: string;
    readonly action: DeadLetterVerb;
    readonly detail: string;
  },
): Promise<DeadLetter | undefined> {
  const { status, actor, action, detail } = note;
  const [letter] = await tx.query<DeadLetter>(updateDeadLetter, [
    deadLetterId,
    status,
    actor,
    action,
    detail,
  ]);
  return letter;
}
