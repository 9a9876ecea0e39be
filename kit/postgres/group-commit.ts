import { ServiceError } from "#kit/errors/errors.ts";
import { isLockTimeout } from "./database-error.ts";
import type { Transaction } from "./transaction.ts";

/** Runs `work` in a transaction. */
type Run = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

interface Waiting {
  readonly key: string;
  work(tx: Transaction): Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Works in one transaction at most. */
const maxGroup = 64;

/**
 * Group commit: the works that wait while a transaction is under way share the next one, so that BEGIN, COMMIT, the flush to
 * disk and the statements that are sent with COMMIT are paid once for all of them. A group that fails is taken apart: each of
 * its works then runs, and fails, by itself.
 */
export function createGroupCommit(together: Run, alone: Run) {
  const waiting: Waiting[] = [];
  let running = false;
  const drain = async () => {
    running = true;
    // One turn of the event loop lets works that arrived together share from the first group on.
    await new Promise(setImmediate);
    while (waiting.length > 0) await runGroup(takeGroup(waiting), together, alone);
    running = false;
  };
  return <T>(key: string, work: (tx: Transaction) => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.push({ key, work, resolve: resolve as Waiting["resolve"], reject });
      if (!running) void drain();
    });
}

/** Takes the oldest works; of those with the same key only the first. */
function takeGroup(waiting: Waiting[]): Waiting[] {
  const keys = new Set<string>();
  const group: Waiting[] = [];
  const left: Waiting[] = [];
  for (const one of waiting.splice(0)) {
    const joins = group.length < maxGroup && !keys.has(one.key);
    (joins ? group : left).push(one);
    keys.add(one.key);
  }
  waiting.push(...left);
  return group;
}

/** Never rejects: each work learns its own fate. */
async function runGroup(group: readonly Waiting[], together: Run, alone: Run) {
  try {
    const values = await together((tx) => allOf(group.map((one) => one.work(tx))));
    for (const [index, one] of group.entries()) one.resolve(values[index]);
  } catch (error) {
    if (isOwnFault(group, error)) for (const one of group) one.reject(error);
    else await Promise.all(group.map((one) => alone(one.work).then(one.resolve, one.reject)));
  }
}

/** Whether running each work by itself could not end otherwise. */
function isOwnFault(group: readonly Waiting[], error: unknown) {
  if (error instanceof ServiceError && error.reason === "DEPENDENCY_UNAVAILABLE") return true;
  return group.length === 1 && !isLockTimeout(error);
}

/** Waits for all, so that no straggler's statement comes after the transaction's end. */
async function allOf(works: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(works);
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
