import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import { isAtRest, type Transition, toView } from "./progress.ts";
import { recordTransitions } from "./statements.ts";

/** Writes transitions down. */
export interface Recorder {
  /**
   * Records a transition with its hooks, together with whatever else is waiting to be recorded.
   * @returns false when the saga is no longer this replica's: its fencing token or version has moved on.
   * @throws when the database stayed away for longer than the lease lasts, or a hook failed.
   */
  record(transition: Transition): Promise<boolean>;
}

interface Waiting {
  readonly transition: Transition;
  resolve(recorded: boolean): void;
  reject(error: unknown): void;
}

/** Transitions recorded in one transaction at most. */
const maxBatch = 100;

/** Makes the recorder of one replica. One batch is under way at a time; what arrives meanwhile forms the next. */
export function createRecorder(options: {
  readonly db: Database;
  readonly leaseMs: number;
  readonly log: Logger;
}): Recorder {
  const waiting: Waiting[] = [];
  let recording = false;
  const drain = async () => {
    recording = true;
    // One turn of the event loop lets results that arrived together be recorded together.
    await new Promise(setImmediate);
    while (waiting.length > 0) await recordBatch(options, waiting.splice(0, maxBatch));
    recording = false;
  };
  return {
    record: (transition) =>
      new Promise((resolve, reject) => {
        waiting.push({ transition, resolve, reject });
        if (!recording) void drain();
      }),
  };
}

interface RecorderOptions {
  readonly db: Database;
  readonly leaseMs: number;
  readonly log: Logger;
}

/** Never rejects: each waiting one learns its own fate. */
async function recordBatch(options: RecorderOptions, batch: readonly Waiting[]) {
  try {
    const recorded = await withRetries(options, () => writeBatch(options, batch));
    for (const { transition, resolve } of batch) resolve(recorded.has(transition.before.sagaId));
  } catch (error) {
    if (batch.length === 1 || isUnavailable(error)) for (const { reject } of batch) reject(error);
    // One hook that fails must not hold up the sagas that happened to share its batch.
    else for (const one of batch) await recordBatch(options, [one]);
  }
}

/** The database may be away for a moment; once the lease is over, the saga is somebody else's. */
async function withRetries<T>({ leaseMs, log }: RecorderOptions, write: () => Promise<T>): Promise<T> {
  const giveUpAtMs = performance.now() + leaseMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!isUnavailable(error) || performance.now() > giveUpAtMs) throw error;
      log.debug({ err: error }, "sagas wait for the database");
      await delay(backoffMs(attempt, { baseMs: 20, maxMs: 250 }));
    }
  }
}

const isUnavailable = (error: unknown) =>
  error instanceof Error && "reason" in error && error.reason === "DEPENDENCY_UNAVAILABLE";

async function writeBatch(
  { db, leaseMs }: RecorderOptions,
  batch: readonly Waiting[],
): Promise<ReadonlySet<string>> {
  const transitions = batch.map(({ transition }) => transition);
  return await db.sharedTransaction("sagas", async (tx) => {
    const rows = await tx.query<{ saga_id: string }>(recordTransitions, toColumns(transitions, leaseMs));
    const recorded = new Set(rows.map((row) => row.saga_id));
    const hooks = transitions
      .filter(({ before }) => recorded.has(before.sagaId))
      .map((one) => runHook(tx, one));
    // All must have ended before the transaction does.
    for (const outcome of await Promise.allSettled(hooks))
      if (outcome.status === "rejected") throw outcome.reason;
    return recorded;
  });
}

/** Runs what a saga's end means to its service, in the transaction that records it. */
export async function runHook(tx: Transaction, { after }: Transition): Promise<void> {
  if (after.status === "completed") await after.definition.onCompleted(tx, toView(after));
  if (after.status === "compensated") await after.definition.onCompensated(tx, toView(after));
}

/** The values of `recordTransitions`. */
export function toColumns(transitions: readonly Transition[], leaseMs: number): unknown[] {
  const column = (pick: (transition: Transition) => unknown) => transitions.map(pick);
  return [
    column(({ before }) => before.sagaId),
    column(({ before }) => before.fencingToken),
    column(({ before }) => before.version),
    column(({ after }) => after.status),
    column(({ after }) => after.step),
    column(({ result }) => JSON.stringify(result ?? {})),
    column(({ after }) => (after.failure ? JSON.stringify(after.failure) : null)),
    column(({ after }) => after.attempt),
    column(({ after }) => after.attempt === 0),
    column(({ waitMs }) => waitMs),
    // What was parked was nobody's, and a replica takes it up like any other.
    column(({ before, after }) => isAtRest(after) || before.status === "parked"),
    leaseMs,
    column(({ after }) => (after.parking ? JSON.stringify(after.parking) : null)),
  ];
}
