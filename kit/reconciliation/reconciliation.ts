/**
 * Reconciliation: records that must agree are compared again and again, and what disagrees is told of.
 *
 * Guarantees: each comparison runs in one replica at a time; a disagreement is announced once and keeps its id until a run
 * no longer sees it; a run covers what is new since the last, what was busy then, and what stood open, and once a
 * day everything. The regular runs of a process share a fifth of a core.
 */
import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Session } from "#kit/postgres/postgres.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import { type Deadline, deadlineIn, delay } from "#kit/time/time.ts";
import type { Reconciliation, Scope } from "./definition.ts";
import { type Finding, type FindingPage, type FindingsParts, readFindings } from "./findings.ts";
import { createPace, type Pace, unpaced } from "./pace.ts";
import { type RunResult, type RunState, readState, runOnce } from "./run.ts";
import { countOpen, endWhenIdle, tryRunLock } from "./statements.ts";

export type { Finding, FindingPage } from "./findings.ts";
export type { RunResult } from "./run.ts";

/** What the reconciler works with. */
export interface ReconcilerOptions extends FindingsParts {
  readonly reconciliations: readonly Reconciliation[];
  readonly metrics: Metrics;
  /** How long a record must not have changed to be judged, where a run does not say otherwise; 60 000 ms by default. */
  readonly graceMs: number;
}

/** How a run differs from the regular ones. */
export interface RunRequest {
  /** Records made since then; all where undefined. */
  readonly since?: Date | undefined;
  readonly graceMs?: number | undefined;
  readonly deadline: Deadline;
}

/** The comparisons of one service in one replica. */
export interface Reconciler {
  /** Runs each comparison on its interval until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Runs one comparison now, or, with `all`, each; waits for a run that is under way elsewhere.
   * @throws ServiceError RECONCILIATION_NOT_FOUND; DEADLINE_EXCEEDED when the run under way outlasts the deadline.
   */
  runNow(name: string, request: RunRequest): Promise<RunResult>;
  /** How many disagreements stand, and the newest of them. */
  open(name: string, limit: number): Promise<{ readonly count: number; readonly findings: Finding[] }>;
  /** Findings, newest first. */
  list(page: FindingPage): Promise<Finding[]>;
}

/** A regular run covers everything once in this time. */
const allEveryMs = 24 * 60 * 60 * 1_000;
/** Clocks of the processes that make ids may differ by this much, and a transaction may commit this much after its id was made. */
const overlapMs = 5 * 60_000;
const maxRunMs = 60 * 60_000;
const lockRetryMs = 100;

/** Makes the reconciler of one replica. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  return {
    run: async (signal) => {
      const parts = { ...options, pace: createPace() };
      await Promise.all(options.reconciliations.map((one) => runRegularly(parts, one, signal)));
    },
    runNow: (name, request) => runNow(options, name, request),
    async open(name, limit) {
      const chosen = choose(options, name);
      const counts = await Promise.all(chosen.map((one) => measure(options, one)));
      const reconciliations = chosen.map((one) => one.name);
      const findings = await readFindings(options.db, { reconciliations, includeSettled: false, limit });
      return { count: counts.reduce((sum, count) => sum + count, 0), findings };
    },
    list: (page) => readFindings(options.db, page),
  };
}

type PacedOptions = ReconcilerOptions & { readonly pace: Pace };

async function runRegularly(options: PacedOptions, one: Reconciliation, signal: AbortSignal) {
  while (!signal.aborted) {
    // Not all at once: the comparisons of a service that has just started share its connections with its callers.
    await delay(one.everyMs * (0.75 + Math.random() / 2), signal).catch(() => {});
    if (signal.aborted) return;
    await runIfDue(options, one, signal).catch((error: unknown) =>
      options.log.warn({ err: error, reconciliation: one.name }, "a comparison failed"),
    );
  }
}

async function runIfDue(options: PacedOptions, one: Reconciliation, signal: AbortSignal) {
  const isDue = ({ finished_ago_ms: agoMs }: RunState) => agoMs === null || agoMs >= one.everyMs * 0.75;
  if (isDue(await readState(options, one))) {
    await withLock(options, one, async (tryLock, session) => {
      if (!(await tryLock())) return;
      // Only the lock's holder knows: another replica may have run between the first look and the lock.
      const state = await readState(options, one);
      if (!isDue(state)) return;
      const deadline = deadlineIn(maxRunMs);
      const scope = { since: regularSince(state), graceMs: options.graceMs, deadline, signal };
      await runOnce(options, one, scope, session);
    });
  }
  await measure(options, one);
}

function regularSince({ now, compared_until: until, all_compared_at: all }: RunState): Date | undefined {
  if (until === null || all === null || now.getTime() - all.getTime() >= allEveryMs) return undefined;
  return new Date(until.getTime() - overlapMs);
}

async function runNow(options: ReconcilerOptions, name: string, request: RunRequest): Promise<RunResult> {
  const { since, graceMs = options.graceMs, deadline } = request;
  const scope: Scope = { since, graceMs, deadline, signal: new AbortController().signal };
  const results: RunResult[] = [];
  for (const one of choose(options, name)) {
    const result = await withLock(options, one, async (tryLock, session) => {
      while (!(await tryLock())) {
        if (deadline.remainingMs() < lockRetryMs) throw stillUnderWay(one.name);
        await delay(lockRetryMs);
      }
      return await runOnce({ ...options, pace: unpaced }, one, scope, session);
    });
    results.push(result);
  }
  return {
    compared: results.reduce((sum, { compared }) => sum + compared, 0),
    complete: results.every(({ complete }) => complete),
  };
}

function choose({ reconciliations }: ReconcilerOptions, name: string): readonly Reconciliation[] {
  const chosen = name === "all" ? reconciliations : reconciliations.filter((one) => one.name === name);
  if (chosen.length === 0 && name !== "all") throw reconciliationNotFound(name);
  return chosen;
}

/** A session of its own, since the lock is the session's. */
async function withLock<T>(
  { db }: ReconcilerOptions,
  { name }: Reconciliation,
  work: (tryLock: () => Promise<boolean>, session: Session) => Promise<T>,
): Promise<T> {
  const session = await db.session();
  try {
    await session.query(endWhenIdle);
    const tryLock = async () => {
      const [row] = await session.query<{ held: boolean }>(tryRunLock, [name]);
      return row?.held === true;
    };
    return await work(tryLock, session);
  } finally {
    await session.close();
  }
}

/** Sets the metrics of a comparison, also of runs in other replicas; answers how many findings are open. */
async function measure(options: ReconcilerOptions, one: Reconciliation): Promise<number> {
  const [[row], state] = await Promise.all([
    options.db.query<{ open: number }>(countOpen, [one.name]),
    readState(options, one),
  ]);
  const open = row?.open ?? 0;
  const { metrics } = options;
  metrics.reconciliationFindingsOpen(one.name).set(open);
  metrics.reconciliationRecordsCompared(one.name).set(Number(state.compared));
  if (state.finished_at_seconds !== null)
    metrics.reconciliationFinishedAt(one.name).set(state.finished_at_seconds);
  return open;
}

const reconciliationNotFound = (name: string): ServiceError =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.RECONCILIATION_NOT_FOUND,
    `There is no comparison ${name} here.`,
    {
      metadata: { reconciliation: name },
    },
  );

const stillUnderWay = (name: string): ServiceError =>
  serviceError(
    AnyReasonSchema,
    AnyReason.DEADLINE_EXCEEDED,
    `The comparison ${name} is under way elsewhere.`,
  );
