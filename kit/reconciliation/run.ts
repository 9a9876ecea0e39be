import type { Session } from "#kit/postgres/postgres.ts";
import type { Reconciliation, Scope, Verdict } from "./definition.ts";
import { type FindingsParts, recordVerdicts } from "./findings.ts";
import type { Pace } from "./pace.ts";
import { holdOn, saveState, selectOpenSubjects, selectState } from "./statements.ts";

/** What a run came to. */
export interface RunResult {
  /** Records judged. */
  readonly compared: number;
  /** Whether everything the scope covers was looked at. */
  readonly complete: boolean;
}

/** A comparison's state between its runs. */
export interface RunState {
  readonly now: Date;
  readonly compared_until: Date | null;
  readonly all_compared_at: Date | null;
  readonly left_out: readonly string[];
  readonly finished_at_seconds: number | null;
  readonly finished_ago_ms: number | null;
  readonly compared: bigint;
}

/** Open findings of one comparison at most: beyond that something is wrong that no list of records explains. */
const maxOpen = 1_000;
/** Busy records that are carried over at most. */
const maxLeftOut = 10_000;
const pageSize = 100;

/** Reads how far a comparison has come. */
export async function readState(
  { db }: Pick<FindingsParts, "db">,
  { name }: Reconciliation,
): Promise<RunState> {
  const [state] = await db.query<RunState>(selectState, [name]);
  if (!state) throw new Error("a select of one row returned none");
  return state;
}

/** What a run works with. */
export type RunParts = FindingsParts & { readonly pace: Pace };

interface Run {
  readonly parts: RunParts;
  readonly reconciliation: Reconciliation;
  readonly scope: Scope;
  readonly session: Session;
  /** What was open or left out: these were judged first. */
  readonly early: ReadonlySet<string>;
  readonly open: Set<string>;
  readonly leftOut: string[];
  compared: number;
}

/** Compares everything in a scope, page by page. The session holds the comparison's lock. */
export async function runOnce(
  parts: RunParts,
  reconciliation: Reconciliation,
  scope: Scope,
  session: Session,
): Promise<RunResult> {
  const state = await readState(parts, reconciliation);
  const openRows = await parts.db.query<{ subject_id: string }>(selectOpenSubjects, [
    reconciliation.name,
    maxOpen,
  ]);
  const open = new Set(openRows.map((row) => row.subject_id));
  const early = open.union(new Set(state.left_out));
  const run: Run = { parts, reconciliation, scope, session, early, open, leftOut: [], compared: 0 };
  const complete = await comparePages(run);
  await save(run, state, complete);
  return { compared: run.compared, complete };
}

/** Whether it came to the end of them. */
async function comparePages(run: Run): Promise<boolean> {
  for (const ids of pagesOf([...run.early])) if (!(await takePage(run, ids))) return false;
  for await (const ids of run.reconciliation.subjects(run.scope)) {
    const others = ids.filter((id) => !run.early.has(id));
    if (!(await takePage(run, others))) return false;
  }
  return true;
}

/** Whether the page was compared. */
function takePage(run: Run, ids: readonly string[]): Promise<boolean> {
  const compare = async () => {
    if (!(await mayGoOn(run))) return false;
    await comparePage(run, ids);
    return true;
  };
  return run.parts.pace(compare, run.scope.signal);
}

function* pagesOf(ids: readonly string[]) {
  for (let at = 0; at < ids.length; at += pageSize) yield ids.slice(at, at + pageSize);
}

async function mayGoOn({ parts, reconciliation, scope, session, open }: Run): Promise<boolean> {
  if (scope.signal.aborted || scope.deadline.remainingMs() === 0) return false;
  if (open.size >= maxOpen) {
    const fields = { reconciliation: reconciliation.name, open: open.size };
    parts.log.error(fields, "too many records disagree: the comparison stopped");
    return false;
  }
  await session.query(holdOn);
  return true;
}

async function comparePage(run: Run, ids: readonly string[]) {
  if (ids.length === 0) return;
  const { parts, reconciliation, scope, open } = run;
  const verdicts = await judgeTwice(reconciliation, ids, scope);
  const judged = new Set(verdicts.map(({ subjectId }) => subjectId));
  run.leftOut.push(...ids.filter((id) => !judged.has(id)));
  run.compared += verdicts.length;
  const news = verdicts.filter(
    ({ subjectId, discrepancy }) => discrepancy !== undefined || open.has(subjectId),
  );
  if (news.length === 0) return;
  await recordVerdicts(parts, reconciliation.name, news);
  for (const { subjectId, discrepancy } of news) {
    if (discrepancy === undefined) open.delete(subjectId);
    else open.add(subjectId);
  }
}

/** A record that changed between the reading of its two sides disagrees only once. */
async function judgeTwice(
  reconciliation: Reconciliation,
  ids: readonly string[],
  scope: Scope,
): Promise<Verdict[]> {
  const first = await reconciliation.judge(ids, scope);
  const suspects = first.filter(({ discrepancy }) => discrepancy !== undefined);
  if (suspects.length === 0) return [...first];
  const second = await reconciliation.judge(
    suspects.map(({ subjectId }) => subjectId),
    scope,
  );
  return [...first.filter(({ discrepancy }) => discrepancy === undefined), ...second];
}

/**
 * Remembers how far the comparison has come, unless this run leaves a gap: then the next one begins where the last without
 * a gap did.
 */
async function save(
  { parts, reconciliation, scope, leftOut, compared }: Run,
  state: RunState,
  complete: boolean,
) {
  const { since } = scope;
  const gapless =
    since === undefined ||
    (state.compared_until !== null && since.getTime() <= state.compared_until.getTime());
  const counts = complete && gapless && leftOut.length <= maxLeftOut;
  await parts.db.query(saveState, [
    reconciliation.name,
    counts ? state.now : null,
    counts && since === undefined ? state.now : null,
    counts ? leftOut : null,
    compared,
  ]);
}
