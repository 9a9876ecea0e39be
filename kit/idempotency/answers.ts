import { type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { fromStatus, keyReused, type ServiceError, serviceError, toStatus } from "#kit/errors/errors.ts";
import { lockTimeoutMs, type Queryable, type Transaction } from "#kit/postgres/postgres.ts";
import type { Deadline } from "#kit/time/time.ts";
import { insertAnswers, limitLockWait, selectAnswer } from "./statements.ts";

/** Under what a command is remembered. */
export interface CommandKey {
  /** The token's subject: keys of different callers never meet. */
  readonly principal: string;
  readonly method: DescMethod;
  /** The caller's Idempotency-Key. */
  readonly key: string;
}

/** A command under its key. `fingerprint` tells whether a repeat is the same request. */
export interface RememberedCommand extends CommandKey {
  readonly fingerprint: Uint8Array;
  /** Bounds the wait for a first call that is still running. */
  readonly deadline: Deadline;
}

/** A command's outcome in wire form. */
export interface Answer {
  readonly response: Uint8Array;
  /** Whether it comes from an earlier call. */
  readonly replayed: boolean;
}

/** What the work wants remembered: an answer, or a refusal whose effects are committed all the same. */
export type Outcome = { readonly response: Uint8Array } | { readonly refusal: ServiceError };

/**
 * Reads the answer of a command that may have run before.
 * @throws like `runRemembered` for a refusal, a tombstone or another request under the key.
 */
export async function recall(source: Queryable, command: RememberedCommand): Promise<Answer | undefined> {
  const [row] = await source.query<AnswerRow>(selectAnswer, [
    command.principal,
    methodName(command.method),
    command.key,
  ]);
  return row && replay(row, command);
}

/** Writes the outcome down when the transaction commits, in one statement with those of others that share it. */
export function remember(tx: Transaction, command: RememberedCommand, outcome: Outcome) {
  const remainingMs = Math.floor(command.deadline.remainingMs());
  if (!tx.shared && remainingMs < lockTimeoutMs) {
    // Ahead of the insert, which is what waits; a failure of it shows at COMMIT.
    tx.query(limitLockWait, [String(Math.max(1, remainingMs - replyReserveMs))]).catch(() => {});
  }
  const refused = "refusal" in outcome;
  const row: RememberedRow = {
    command,
    outcome: refused ? "refused" : "answered",
    response: refused ? toStatus(outcome.refusal).details : outcome.response,
  };
  const rows = remembered.get(tx);
  if (rows) rows.push(row);
  else remembered.set(tx, openRows(tx, row));
}

interface RememberedRow {
  readonly command: RememberedCommand;
  readonly outcome: "answered" | "refused";
  readonly response: Uint8Array;
}

const remembered = new WeakMap<Transaction, RememberedRow[]>();

function openRows(tx: Transaction, first: RememberedRow): RememberedRow[] {
  const rows = [first];
  const column = (pick: (row: RememberedRow) => unknown) => rows.map(pick);
  tx.beforeCommit(() => ({
    statement: insertAnswers,
    values: [
      column(({ command }) => command.principal),
      column(({ command }) => methodName(command.method)),
      column(({ command }) => command.key),
      column(({ command }) => command.fingerprint),
      column((row) => row.outcome),
      column((row) => row.response),
    ],
  }));
  return rows;
}

/** Kept back from the wait for a lock, so that the answer 409 still reaches the caller before its deadline. */
const replyReserveMs = 50;

interface AnswerRow {
  outcome: "answered" | "refused" | "cancelled";
  fingerprint: Buffer | null;
  response: Buffer | null;
}

function replay(row: AnswerRow, command: RememberedCommand): Answer {
  if (row.outcome === "cancelled") throw cancelled(command);
  if (!row.fingerprint?.equals(command.fingerprint)) throw keyReused();
  if (row.outcome === "refused") throw toRefusal(row.response ?? new Uint8Array());
  return { response: row.response ?? new Uint8Array(), replayed: true };
}

function toRefusal(details: Uint8Array): ServiceError {
  const { code, message } = fromBinary(StatusSchema, details);
  return fromStatus({ code, message, details });
}

/** The method as `package.Service/Method`. */
export const methodName = (method: DescMethod) => `${method.parent.typeName}/${method.name}`;

const cancelled = ({ key }: CommandKey) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.COMMAND_CANCELLED,
    "The command was cancelled before it arrived.",
    {
      metadata: { key },
    },
  );
