/**
 * Remembered answers: a command that is repeated under the same (principal, method, key) gets its first answer.
 *
 * Guarantee: the answer is written in the transaction of the command's effect, so there is no moment in which the work is
 * done but not remembered. A repeat that arrives while the first is still running waits for it. Answers are kept 24 hours.
 */
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { isRetryable, ServiceError, serviceError } from "#kit/errors/errors.ts";
import { planted } from "#kit/failpoints/planted.ts";
import { type Database, isLockTimeout, isUniqueViolation, type Transaction } from "#kit/postgres/postgres.ts";
import {
  type Answer,
  type CommandKey,
  methodName,
  type Outcome,
  type RememberedCommand,
  recall,
  remember,
} from "./answers.ts";
import { begin, begunHere } from "./begun.ts";
import { answerConstraint, layTombstone } from "./statements.ts";

export { type Answer, type CommandKey, type Outcome, type RememberedCommand, recall } from "./answers.ts";

/** The work of a command: a half that may call out, and a local half that runs in the transaction; before both, an intent. */
export interface Work<Prepared, Intended = undefined> {
  /**
   * Whether the local halves may share their transactions with others (`Database.sharedTransaction`). `intend` then also runs,
   * and is kept, for a command that has its answer: it meets what it recorded the first time.
   */
  readonly groupCommit: boolean;
  intend?: ((tx: Transaction) => Promise<Intended>) | undefined;
  prepare(intended: Intended): Promise<Prepared>;
  apply(tx: Transaction, prepared: Prepared): Promise<Outcome>;
}

/**
 * Runs the work and remembers its outcome in its transaction, unless the key has an answer already, which is replayed.
 * @throws ServiceError IDEMPOTENCY_KEY_REUSED for the same key with another request, IDEMPOTENCY_KEY_IN_USE when the first
 *   call does not end before the deadline, COMMAND_CANCELLED under a tombstone, the remembered refusal, or what `work` throws.
 */
export async function runRemembered<Prepared, Intended = undefined>(
  db: Database,
  command: RememberedCommand,
  work: Work<Prepared, Intended>,
): Promise<Answer> {
  const text = textOf(command);
  let outcome: Outcome;
  let decided: Outcome | undefined;
  try {
    const { earlier, intended } = await intend(db, command, work);
    if (earlier) return earlier;
    const prepared = await work.prepare(intended);
    const first = work.groupCommit ? begunHere(db, text) : undefined;
    // In a shared transaction a repeat would meet its own answer and take the whole group apart: under load, when most calls are
    // repeats, each would then pay for all.
    const answered = first && (await first.then(() => recall(db, command)));
    if (answered) return answered;
    const decide = async (tx: Transaction) => {
      decided = await work.apply(tx, prepared);
      remember(tx, command, decided);
      return decided;
    };
    outcome = work.groupCommit
      ? await begin(db, text, () => db.sharedTransaction(text, decide))
      : await db.transaction(decide);
  } catch (error) {
    if (!decided || !planted("swallowed-commit-error")) return await answerAfterFailure(db, command, error);
    outcome = decided;
  }
  if ("refusal" in outcome) throw outcome.refusal;
  return { response: outcome.response, replayed: false };
}

/** What a command intends, or its answer where it has one. */
interface Intention<Intended> {
  readonly earlier?: Answer;
  readonly intended: Intended;
}

async function intend<Intended>(
  db: Database,
  command: RememberedCommand,
  work: Pick<Work<unknown, Intended>, "groupCommit" | "intend">,
): Promise<Intention<Intended>> {
  // Whoever has no intent has no such parameter either.
  if (!work.intend) return { intended: undefined as Intended };
  const record = work.intend;
  if (work.groupCommit) return { intended: await db.sharedTransaction(textOf(command), record) };
  return await intendUnlessAnswered(db, command, record);
}

/**
 * The lookup and the intent share a transaction and a round trip: `prepare` must not run again for a command that has its
 * answer. Where it has one, the intent is rolled back.
 */
async function intendUnlessAnswered<Intended>(
  db: Database,
  command: RememberedCommand,
  record: (tx: Transaction) => Promise<Intended>,
): Promise<Intention<Intended>> {
  try {
    const work = async (tx: Transaction) => {
      const [recalled, recorded] = await Promise.allSettled([recall(tx, command), record(tx)]);
      if (recalled.status === "rejected") throw recalled.reason;
      if (recalled.value) throw new AlreadyAnswered(recalled.value);
      if (recorded.status === "rejected") throw recorded.reason;
      return recorded.value;
    };
    return { intended: await db.transaction(work) };
  } catch (error) {
    if (error instanceof AlreadyAnswered) return { earlier: error.answer, intended: undefined as Intended };
    throw error;
  }
}

/** Rolls an intent back; never leaves this file. */
class AlreadyAnswered extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super();
    this.answer = answer;
  }
}

/**
 * Cancels a command before it arrives: laid under its key, the tombstone refuses it for good.
 * @returns false when the command has its answer already, so that its effect must be undone; true for a repeated cancel.
 */
export async function cancelCommand(
  tx: Transaction,
  { principal, method, key }: CommandKey,
): Promise<boolean> {
  if (planted("release-without-tombstone")) return false;
  const [row] = await tx.query<{ outcome: string }>(layTombstone, [principal, methodName(method), key]);
  return row?.outcome === "cancelled";
}

/**
 * A failure of a command whose transaction was rolled back: the answer of an earlier call where there is one, since a
 * repeat may fail of its own first call's effects. A terminal error is remembered before it is told, so that a repeat, or a
 * copy of the request that is still on its way, meets the same refusal. Where that cannot be looked up or written, the
 * outcome is unknown, and the caller gets the fault that another call may survive. Retryable errors are not remembered: the
 * next call may fare better.
 */
async function answerAfterFailure(db: Database, command: RememberedCommand, error: unknown): Promise<Answer> {
  if (isLockTimeout(error)) throw inUse(error);
  const isTerminal = error instanceof ServiceError && !isRetryable(error);
  const earlier = isTerminal ? await recall(db, command) : await recallQuietly(db, command, error);
  if (earlier) return earlier;
  return isTerminal ? await rememberRefusal(db, command, error) : Promise.reject(error);
}

/** Also where the first error is retryable: what a repeat needs to prepare may be away, its answer is not. */
async function recallQuietly(db: Database, command: RememberedCommand, first: unknown) {
  try {
    return await recall(db, command);
  } catch (error) {
    // The lookup must not hide the first error when the database is what failed. That the key has an answer is none to report.
    if (isRetryable(error) && !isUniqueViolation(first, answerConstraint)) return undefined;
    throw error;
  }
}

/** Remembers a refusal and throws it, or answers like the call that was remembered at the same moment. */
async function rememberRefusal(
  db: Database,
  command: RememberedCommand,
  refusal: ServiceError,
): Promise<Answer> {
  try {
    await db.transaction(async (tx) => remember(tx, command, { refusal }));
  } catch (error) {
    if (isLockTimeout(error)) throw inUse(error);
    const earlier = isUniqueViolation(error, answerConstraint) ? await recall(db, command) : undefined;
    if (earlier) return earlier;
    throw error;
  }
  throw refusal;
}

/** What tells commands apart. */
const textOf = ({ principal, method, key }: CommandKey) =>
  JSON.stringify([principal, methodName(method), key]);

const inUse = (cause: unknown) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_IN_USE,
    "A request with this Idempotency-Key is still running.",
    { cause, retryAfterMs: 1_000 },
  );
