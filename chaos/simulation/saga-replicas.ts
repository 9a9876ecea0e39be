// The engine's model: rows, leases and fencing as kit/saga/statements.ts has them, around the real decisions of
// kit/saga/progress.ts and the real steps of each definition.
import { newId } from "#kit/ids/ids.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Saga, SagaDefinition, StepResult } from "#kit/saga/definition.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  afterUndone,
  currentStep,
  type HeldSaga,
  isAtRest,
  type Transition,
  toView,
} from "#kit/saga/progress.ts";
import type { SagaStart } from "#kit/saga/saga.ts";
import type { Journal, StatementModels, Values } from "./model-database.ts";
import type { Process, World } from "./world.ts";

/** A saga as the table has it. */
export interface SagaRow {
  readonly saga: HeldSaga;
  /** Nobody where it was just turned back. */
  readonly owner: Process | undefined;
  readonly leaseEndsAtMs: number;
  /** Edges taken, in order: `running reserve`, `compensating authorize`. */
  readonly edges: readonly string[];
}

/** The sagas table. */
export type SagaTable = Map<string, SagaRow>;

/** One replica of the orders service, as far as it drives sagas. */
export interface Replica {
  readonly world: World;
  readonly process: Process;
  readonly db: Database;
  readonly definitions: readonly SagaDefinition[];
  readonly driving: Set<string>;
}

/** What may be broken on purpose. */
export interface EngineFaults {
  /** Whoever once held a saga may write to it for ever. */
  readonly unfenced?: true;
  /** What a dead replica drove is taken over by nobody. */
  readonly neverTakesOver?: true;
  /** A saga is turned back wherever it stands. */
  readonly turnsDecided?: true;
}

const leaseMs = 10_000;
const shortestWaitMs = 400;

/** What the engine's statements do. `onStarted` hears of each saga that is inserted, also where that is taken back. */
export function sagaStatements(
  { world, sagas, faults }: { world: World; sagas: SagaTable; faults: EngineFaults },
  onStarted: (sagaId: string) => void,
): StatementModels {
  const leaseEndsAtMs = () => world.nowMs + leaseMs;
  return {
    "simulated-insert-saga": ([saga, owner], journal) => {
      const { sagaId } = saga as HeldSaga;
      journal.put(sagas, sagaId, { saga, owner, leaseEndsAtMs: leaseEndsAtMs(), edges: [] });
      onStarted(sagaId);
      return [];
    },
    "simulated-record-saga": ([transition], journal) =>
      record(sagas, transition, { journal, faults, leaseEndsAtMs: leaseEndsAtMs() }),
    "simulated-claim-saga": ([sagaId, owner], journal) => {
      const row = sagas.get(sagaId);
      if (!row || isAtRest(row.saga) || row.leaseEndsAtMs > world.nowMs || faults.neverTakesOver) return [];
      const saga = { ...row.saga, fencingToken: row.saga.fencingToken + 1n };
      journal.put(sagas, sagaId, { ...row, saga, owner, leaseEndsAtMs: leaseEndsAtMs() });
      return [saga];
    },
    "simulated-find-saga": ([definition, subjectId]) => newest(sagas, definition, subjectId),
    "kit-turn-saga-back": (values, journal) => turn(sagas, values, { world, journal, faults }),
  };
}

function newest(sagas: SagaTable, definition: string, subjectId: string): HeldSaga[] {
  const found = [...sagas.values()].map(({ saga }) => saga);
  return found
    .filter((saga) => saga.definition.name === definition && saga.subjectId === subjectId)
    .slice(-1);
}

interface Turning {
  readonly world: World;
  readonly journal: Journal;
  readonly faults: EngineFaults;
}

/** As the SQL of its name in kit/saga/turn-back.ts. */
function turn(
  sagas: SagaTable,
  [subjectId, definition, versions, pivots, steps, reason, message]: Values,
  { world, journal, faults }: Turning,
) {
  const [saga] = newest(sagas, definition, subjectId);
  const row = saga && sagas.get(saga.sagaId);
  const served = (versions as readonly number[]).indexOf(saga?.definition.version ?? 0);
  if (!row || saga.status !== "running" || served < 0) return [];
  if (saga.step >= pivots[served] && !faults.turnsDecided) return [];
  const step = (JSON.parse(steps[served]) as readonly string[])[saga.step] ?? "";
  const turned = {
    ...saga,
    status: "compensating" as const,
    attempt: 0,
    failure: { step, reason, message },
    fencingToken: saga.fencingToken + 1n,
    version: saga.version + 1n,
    stepStartedAtMs: world.nowMs,
  };
  const edges = [...row.edges, `turned back at ${step}`];
  journal.put(sagas, saga.sagaId, { saga: turned, owner: undefined, leaseEndsAtMs: world.nowMs, edges });
  return [{ saga_id: saga.sagaId }];
}

interface Recording {
  readonly journal: Journal;
  readonly faults: EngineFaults;
  readonly leaseEndsAtMs: number;
}

function record(
  sagas: SagaTable,
  { before, after }: Transition,
  { journal, faults, leaseEndsAtMs }: Recording,
) {
  const row = sagas.get(before.sagaId);
  if (!row) throw new Error(`there is no saga ${before.sagaId}`);
  const { fencingToken, version } = row.saga;
  const isOurs = fencingToken === before.fencingToken && version === before.version;
  if (!isOurs && !faults.unfenced) return [];
  const edges = [...row.edges, `${after.status} ${currentOrLast(before)}`];
  const saga = { ...after, fencingToken, version: version + 1n };
  journal.put(sagas, before.sagaId, { ...row, saga, leaseEndsAtMs, edges });
  return [{ sagaId: before.sagaId }];
}

const currentOrLast = (saga: HeldSaga) => currentStep(saga).name;

/** Starts a saga in a transaction, leased to the replica that starts it. */
export function startSaga<Input>(
  replica: Replica,
  tx: Transaction,
  definition: SagaDefinition<Input>,
  start: SagaStart<Input>,
): string {
  const saga: HeldSaga = {
    ...start,
    sagaId: newId("saga"),
    definition: definition as unknown as SagaDefinition,
    status: "running",
    step: 0,
    results: {},
    failure: undefined,
    attempt: 0,
    parking: undefined,
    startedAtMs: replica.world.nowMs,
    stepStartedAtMs: replica.world.nowMs,
    fencingToken: 1n,
    version: 1n,
  };
  const statement = { name: "simulated-insert-saga", text: "" };
  tx.beforeCommit(() => ({ statement, values: [saga, replica.process] }));
  tx.afterCommit(() => void drive(replica, saga));
  return saga.sagaId;
}

/** The newest saga of that name about a subject. */
export async function findSaga(db: Database, definition: string, subjectId: string) {
  const found = await db.query<HeldSaga>({ name: "simulated-find-saga", text: "" }, [definition, subjectId]);
  return found.map(toView)[0];
}

/** Advances a saga until it ends or is somebody else's. */
export async function drive(replica: Replica, held: HeldSaga): Promise<void> {
  if (replica.driving.has(held.sagaId)) return;
  replica.driving.add(held.sagaId);
  let saga = held;
  while (!isAtRest(saga)) {
    const transition = onWorldTime(replica.world, await attempt(replica, saga));
    if (!(await write(replica, transition))) break;
    saga = transition.after;
    // The real wait is drawn at random by the engine; here all chance comes from the world.
    if (transition.waitMs > 0)
      await replica.world.sleep(replica.process, shortestWaitMs + replica.world.draw() * 4);
  }
  replica.driving.delete(held.sagaId);
}

/** The engine's clock is the process's; here it is the world's. */
function onWorldTime({ nowMs }: World, transition: Transition): Transition {
  const stepStartedAtMs = transition.after.attempt === 0 ? nowMs : transition.before.stepStartedAtMs;
  return { ...transition, after: { ...transition.after, stepStartedAtMs } };
}

/** A saga's age decides things, and is the world's to tell. */
const viewOf = ({ world }: Replica, saga: HeldSaga): Saga<unknown> => ({
  ...toView(saga),
  ageMs: world.nowMs - saga.startedAtMs,
});

const neverAborts = new AbortController().signal;

async function attempt(replica: Replica, saga: HeldSaga): Promise<Transition> {
  const step = currentStep(saga);
  const toCall = (key: string) => ({
    key,
    timeoutMs: step.attemptTimeoutMs,
    correlationId: saga.correlationId,
    signal: neverAborts,
  });
  if (saga.status === "compensating") {
    return await (
      step.undo?.(viewOf(replica, saga), toCall(`${saga.sagaId}:${step.name}:undo`)) ?? Promise.resolve()
    ).then(
      () => afterUndone(saga),
      (error: unknown) => afterFailedUndo(saga, error, replica.world.nowMs),
    );
  }
  return await step.do(viewOf(replica, saga), toCall(`${saga.sagaId}:${step.name}`)).then(
    (result: StepResult) => afterDone(saga, result),
    (error: unknown) => afterFailedDo(saga, error, replica.world.nowMs),
  );
}

const recordingTries = 20;

/** Like the recorder: an unknown outcome is written again, and finds the version moved where it had been written. */
async function write({ world, process, db }: Replica, transition: Transition): Promise<boolean> {
  for (let tries = 0; tries < recordingTries; tries += 1) {
    const [outcome] = await Promise.allSettled([db.transaction((tx) => writeOnce(tx, transition))]);
    if (outcome?.status === "fulfilled") return outcome.value;
    await world.sleep(process, 200);
  }
  return false;
}

async function writeOnce(tx: Transaction, transition: Transition): Promise<boolean> {
  const rows = await tx.query({ name: "simulated-record-saga", text: "" }, [transition]);
  if (rows.length === 0) return false;
  const { definition, status } = transition.after;
  if (status === "completed") await definition.onCompleted(tx, toView(transition.after));
  if (status === "compensated") await definition.onCompensated(tx, toView(transition.after));
  return true;
}

/** Looks after one saga for all replicas, as their polls do: renews the lease of a live holder, takes over a lost one. */
export function watch(
  world: World,
  sagas: SagaTable,
  sagaId: string,
  replicas: () => readonly Replica[],
): void {
  const row = sagas.get(sagaId);
  if (!row || isAtRest(row.saga)) return;
  const holder = replicas().find(({ process }) => process === row.owner);
  const isHeld = holder?.driving.has(sagaId) && holder.process.stalledUntilMs <= world.nowMs;
  if (isHeld) sagas.set(sagaId, { ...row, leaseEndsAtMs: world.nowMs + leaseMs });
  else if (row.leaseEndsAtMs <= world.nowMs) void takeOver(world, sagaId, replicas());
  world.after(leaseMs / 3, () => watch(world, sagas, sagaId, replicas));
}

async function takeOver(world: World, sagaId: string, replicas: readonly Replica[]) {
  const ready = replicas.filter(
    ({ process, driving }) => process.alive && process.stalledUntilMs <= world.nowMs && !driving.has(sagaId),
  );
  const replica = ready[world.draw() % Math.max(1, ready.length)];
  if (!replica) return;
  const claim = { name: "simulated-claim-saga", text: "" };
  const claiming = replica.db.query<HeldSaga>(claim, [sagaId, replica.process]);
  const [saga] = await claiming.catch(() => []);
  if (saga) await drive(replica, { ...saga, definition: definitionOf(replica, saga) });
}

/** A saga goes on by the definition of the replica that took it over, whose clients are its own. */
function definitionOf({ definitions }: Replica, { definition }: HeldSaga): SagaDefinition {
  const found = definitions.find(
    ({ name, version }) => name === definition.name && version === definition.version,
  );
  if (!found) throw new Error(`no replica knows ${definition.name}`);
  return found;
}
