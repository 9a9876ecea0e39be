/**
 * Durable sagas: a saga that was started with its transaction is driven to its end, whatever dies.
 *
 * Guarantees: each step runs at least once under one command key; a saga is advanced by the replica that holds its lease, and
 * a fencing token makes a former holder's writes fall on no row; timers live in the table.
 */
import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { planted } from "#kit/failpoints/planted.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import type { Saga, SagaDefinition } from "./definition.ts";
import { drive } from "./drive.ts";
import { createMeasurement } from "./measure.ts";
import { createSagaOperations, type SagaOperations } from "./operations.ts";
import { type HeldSaga, toView } from "./progress.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { definitionOf, findDefinition, type SagaRow, toHeld } from "./row.ts";
import { claimSagas, insertSagas, releaseLeases, renewLeases, selectBySubjects } from "./statements.ts";
import { type TurnReason, turnBack } from "./turn-back.ts";
import { everyVersion, lastReleased } from "./versions.ts";

/** What a saga starts from. */
export interface SagaStart<Input> {
  readonly subjectId: string;
  readonly correlationId: string;
  /** Plain JSON. */
  readonly input: Input;
}

/** Drives the sagas of one service in one replica. */
export interface SagaEngine {
  /** Starts a saga in a transaction, leased to this replica, and returns its id (`saga_…`). */
  start<Input>(tx: Transaction, definition: SagaDefinition<Input>, start: SagaStart<Input>): string;
  /** Turns the newest saga of a definition about a subject round, if it has not reached its pivot; says whether it did. */
  turnBack(
    tx: Transaction,
    definition: SagaDefinition<never>,
    subjectId: string,
    why: TurnReason,
  ): Promise<boolean>;
  /** The newest saga of a definition about a subject, as it is recorded. */
  find(definition: SagaDefinition<never>, subjectId: string): Promise<Saga<unknown> | undefined>;
  /** The same for several subjects, by subject, in one statement; those without a saga are missing. */
  findMany(
    definition: SagaDefinition<never>,
    subjectIds: readonly string[],
  ): Promise<ReadonlyMap<string, Saga<unknown>>>;
  /** What an operator sees and does. */
  readonly operations: SagaOperations;
  /** Drives sagas until the signal aborts, then waits for the steps under way and gives the leases back. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** What the engine works with. */
export interface SagaEngineOptions {
  readonly db: Database;
  readonly definitions: readonly SagaDefinition<never>[];
  /** How long this replica may be silent before others take its sagas over; 10,000 ms by default. */
  readonly leaseMs: number;
  /** False for a canary: it leaves the sagas it starts to others, in a version that these know. Default true. */
  readonly drives?: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Sagas driven side by side at most; more wait in their table. */
const maxActive = 512;
const pollMs = 500;
const measureMs = 5_000;
const drainTimeoutMs = 12_000;

/** Makes the engine of one replica. */
export function createSagaEngine(options: SagaEngineOptions): SagaEngine {
  const definitions = everyVersion(options.definitions as readonly SagaDefinition[]);
  const engine: Engine = {
    ...options,
    drives: options.drives ?? true,
    definitions,
    measure: createMeasurement({ ...options, definitions }),
    owner: newId("replica"),
    active: new Map(),
    recorder: createRecorder(options),
    stopping: new AbortController(),
    starts: new WeakMap(),
  };
  return {
    start: (tx, definition, start) => startSaga(engine, tx, definition as SagaDefinition, start),
    turnBack,
    find: async (definition, subjectId) =>
      (await findSagas(engine, definition as SagaDefinition, [subjectId])).get(subjectId),
    findMany: (definition, subjectIds) => findSagas(engine, definition as SagaDefinition, subjectIds),
    operations: createSagaOperations(engine),
    run: (signal) => runEngine(engine, signal),
  };
}

interface Engine {
  readonly db: Database;
  /** Every version that this replica serves. */
  readonly definitions: readonly SagaDefinition[];
  readonly leaseMs: number;
  readonly drives: boolean;
  readonly log: Logger;
  readonly measure: () => Promise<void>;
  readonly owner: string;
  readonly active: Map<string, Promise<void>>;
  readonly recorder: Recorder;
  readonly stopping: AbortController;
  readonly starts: WeakMap<Transaction, HeldSaga[]>;
}

function startSaga(
  engine: Engine,
  tx: Transaction,
  definition: SagaDefinition,
  start: SagaStart<unknown>,
): string {
  const saga: HeldSaga = {
    ...start,
    sagaId: newId("saga"),
    definition: engine.drives ? definition : lastReleased(definition),
    status: "running",
    step: 0,
    results: {},
    failure: undefined,
    parking: undefined,
    attempt: 0,
    stepStartedAtMs: performance.now(),
    startedAtMs: performance.now(),
    fencingToken: 1n,
    version: 1n,
  };
  const started = engine.starts.get(tx);
  if (started) started.push(saga);
  else engine.starts.set(tx, openStarts(engine, tx, saga));
  return saga.sagaId;
}

function openStarts(engine: Engine, tx: Transaction, first: HeldSaga): HeldSaga[] {
  const sagas = [first];
  const column = (pick: (saga: HeldSaga) => unknown) => sagas.map(pick);
  tx.beforeCommit(() => ({
    statement: insertSagas,
    values: [
      column(({ sagaId }) => sagaId),
      column(({ definition }) => definition.name),
      column(({ definition }) => definition.version),
      column(({ subjectId }) => subjectId),
      column(({ correlationId }) => correlationId),
      column(({ input }) => JSON.stringify(input)),
      engine.drives ? engine.owner : null,
      engine.drives ? engine.leaseMs : null,
    ],
  }));
  tx.afterCommit(() => {
    for (const saga of sagas) take(engine, saga);
  });
  return sagas;
}

/** Starts driving a held saga, if there is room; otherwise it stays in the table until the next poll finds it. */
function take(engine: Engine, saga: HeldSaga) {
  if (
    !engine.drives ||
    engine.stopping.signal.aborted ||
    engine.active.size >= maxActive ||
    engine.active.has(saga.sagaId)
  )
    return;
  const driving = drive(engine, saga, engine.stopping.signal)
    .catch((error: unknown) =>
      engine.log.warn({ err: error, saga: saga.sagaId }, "a saga waits to be taken up again"),
    )
    .finally(() => engine.active.delete(saga.sagaId));
  engine.active.set(saga.sagaId, driving);
}

async function runEngine(engine: Engine, signal: AbortSignal) {
  signal.addEventListener("abort", () => engine.stopping.abort(), { once: true });
  await Promise.all([
    every(engine, pollMs, "sagas could not be claimed", () => claim(engine)),
    every(engine, engine.leaseMs / 3, "saga leases could not be renewed", () => renew(engine)),
    every(engine, measureMs, "sagas could not be counted", engine.measure),
  ]);
  await Promise.race([Promise.all(engine.active.values()), delay(drainTimeoutMs)]);
  await engine.db.query(releaseLeases, [engine.owner]).catch(() => {});
}

async function every(engine: Engine, everyMs: number, complaint: string, work: () => Promise<void>) {
  const { signal } = engine.stopping;
  while (!signal.aborted) {
    await work().catch((error: unknown) => engine.log.warn({ err: error }, complaint));
    await delay(everyMs, signal).catch(() => {});
  }
}

async function claim(engine: Engine) {
  if (planted("saga-timers-in-memory")) return;
  const room = maxActive - engine.active.size;
  if (room <= 0 || engine.definitions.length === 0) return;
  const rows = await engine.db.query<SagaRow>(claimSagas, [
    engine.owner,
    engine.leaseMs,
    engine.definitions.map(({ name }) => name),
    engine.definitions.map(({ version }) => version),
    room,
    [...engine.active.keys()],
  ]);
  if (armed && rows.length > 0) await reach("saga:claimed");
  for (const row of rows) take(engine, toHeld(row, definitionOf(row, engine.definitions)));
}

async function renew(engine: Engine) {
  if (engine.active.size === 0) return;
  await engine.db.query(renewLeases, [[...engine.active.keys()], engine.owner, engine.leaseMs]);
}

async function findSagas(engine: Engine, definition: SagaDefinition, subjectIds: readonly string[]) {
  if (subjectIds.length === 0) return new Map();
  const rows = await engine.db.query<SagaRow>(selectBySubjects, [subjectIds, definition.name]);
  // Reading does not ask for the row's version: an order is shown while another version's replica drives its saga.
  const known = (row: SagaRow) => findDefinition(row, engine.definitions) ?? definition;
  return new Map(rows.map((row) => [row.subject_id, toView(toHeld(row, known(row)))]));
}
