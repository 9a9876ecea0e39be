import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { SagaDefinition, SagaStatus } from "./definition.ts";
import { unservedAfterMs } from "./measure.ts";
import {
  afterRetried,
  afterSettled,
  afterTurned,
  currentStep,
  type HeldSaga,
  isDecided,
  type Transition,
} from "./progress.ts";
import { runHook, toColumns } from "./recorder.ts";
import { findDefinition, type SagaRow, toHeld } from "./row.ts";
import { lockSaga, recordTransitions, selectPage, selectSaga } from "./statements.ts";

/** A saga as an operator sees it. */
export interface SagaRecord {
  readonly sagaId: string;
  readonly definition: string;
  readonly definitionVersion: number;
  readonly subjectId: string;
  readonly status: SagaStatus;
  /** The step it is at; empty where this replica does not know the version. */
  readonly step: string;
  readonly attempt: number;
  /** Why it is parked, or turned round, or that nobody serves its version; empty where all is well. */
  readonly reason: string;
  readonly message: string;
  readonly correlationId: string;
  readonly nextWakeupAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** In order; empty where this replica does not know the version. */
  readonly steps: readonly SagaStepRecord[];
}

/** A step as an operator sees it. */
export interface SagaStepRecord {
  readonly name: string;
  /** Done, and not undone since. */
  readonly done: boolean;
  readonly resultJson: string;
  readonly pivot: boolean;
}

/** Which sagas a page lists. */
export interface SagaPage {
  /** The last saga of the page before; empty for the first page. */
  readonly beforeSagaId: string;
  readonly status: SagaStatus | undefined;
  /** Empty for all. */
  readonly subjectId: string;
  readonly limit: number;
}

/** What an operator says of the step at which a saga is parked. */
export type SagaResolution = "step done" | "compensate";

/** An operator's word on a parked saga. */
export interface SagaSettlement {
  readonly resolution: SagaResolution;
  /** The step that was looked at; empty where any is meant. */
  readonly step: string;
}

/** What an operator can see and do. A change falls on the row as it was read and locked, or fails; no replica holds that row. */
export interface SagaOperations {
  /** Newest first. */
  list(page: SagaPage): Promise<SagaRecord[]>;
  /** @throws ServiceError SAGA_NOT_FOUND. */
  show(sagaId: string): Promise<SagaRecord>;
  /** Lets a parked saga go on where it stopped. @throws ServiceError SAGA_NOT_FOUND, SAGA_NOT_PARKED. */
  retry(tx: Transaction, sagaId: string): Promise<SagaRecord>;
  /**
   * Settles the step at which a saga is parked: `step`, where that is not empty. "step done" goes on behind it, or, while undoing,
   * with the step before it; "compensate" turns a saga round and undoes that step too.
   * @throws ServiceError SAGA_NOT_FOUND, SAGA_NOT_PARKED, also at another step, SAGA_DECIDED for compensating from the pivot on.
   */
  resolve(tx: Transaction, sagaId: string, settlement: SagaSettlement): Promise<SagaRecord>;
}

interface OperationOptions {
  readonly db: Database;
  /** Every version that this replica serves. */
  readonly definitions: readonly SagaDefinition[];
}

/** Makes the operations of one replica. */
export function createSagaOperations(options: OperationOptions): SagaOperations {
  const { db, definitions } = options;
  return {
    async list({ beforeSagaId, status = "", subjectId, limit }) {
      const values = [unservedAfterMs, beforeSagaId, status, subjectId, limit];
      const rows = await db.query<OperatorRow>(selectPage, values);
      return rows.map((row) => toRecord(row, definitions));
    },
    async show(sagaId) {
      const [row] = await db.query<OperatorRow>(selectSaga, [unservedAfterMs, sagaId]);
      if (!row) throw sagaNotFound(sagaId);
      return toRecord(row, definitions);
    },
    retry: (tx, sagaId) => change(options, tx, sagaId, afterRetried),
    resolve: (tx, sagaId, { resolution, step }) =>
      change(options, tx, sagaId, (saga) => {
        const { name } = currentStep(saga);
        if (step !== "" && step !== name)
          throw sagaNotParked(sagaId, `parked at the step ${name}, not ${step}`);
        if (resolution === "step done") return afterSettled(saga);
        if (!saga.failure && isDecided(saga)) throw sagaDecided(saga);
        return afterTurned(saga);
      }),
  };
}

interface OperatorRow extends SagaRow {
  next_wakeup_at: Date;
  created_at: Date;
  updated_at: Date;
  overdue: boolean;
}

async function change(
  { definitions }: OperationOptions,
  tx: Transaction,
  sagaId: string,
  decide: (saga: HeldSaga) => Transition,
): Promise<SagaRecord> {
  const [row] = await tx.query<OperatorRow>(lockSaga, [unservedAfterMs, sagaId]);
  if (!row) throw sagaNotFound(sagaId);
  if (row.status !== "parked") throw sagaNotParked(sagaId, `${row.status}, not parked`);
  const definition = findDefinition(row, definitions);
  if (!definition) throw versionUnknown(row);
  const transition = decide(toHeld(row, definition));
  const recorded = await tx.query(recordTransitions, toColumns([transition], 0));
  if (recorded.length === 0) throw new Error(`${sagaId} was changed while its row was locked`);
  await runHook(tx, transition);
  const [after] = await tx.query<OperatorRow>(selectSaga, [unservedAfterMs, sagaId]);
  return toRecord(after ?? row, definitions);
}

function toRecord(row: OperatorRow, definitions: readonly SagaDefinition[]): SagaRecord {
  const definition = findDefinition(row, definitions);
  const saga = definition && toHeld(row, definition);
  return {
    sagaId: row.saga_id,
    definition: row.definition,
    definitionVersion: row.definition_version,
    subjectId: row.subject_id,
    status: row.status,
    step: saga && row.status !== "completed" ? currentStep(saga).name : "",
    attempt: row.attempt,
    ...whyOf(row, definition),
    correlationId: row.correlation_id,
    nextWakeupAt: row.next_wakeup_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    steps: saga ? stepsOf(saga) : [],
  };
}

function whyOf(row: OperatorRow, definition: SagaDefinition | undefined) {
  if (!definition && row.overdue) {
    const message = `No replica seems to know version ${row.definition_version} of ${row.definition}.`;
    return { reason: "VERSION_UNKNOWN", message };
  }
  const { reason = "", message = "" } = row.parking ?? row.failure ?? {};
  return { reason, message };
}

function stepsOf(saga: HeldSaga): SagaStepRecord[] {
  const { definition, results, step: at, failure, status } = saga;
  return definition.steps.map(({ name, pivot }, index) => {
    const undone = failure !== undefined && (status === "compensated" || index > at);
    const result = results[name];
    const resultJson = result === undefined ? "" : JSON.stringify(result);
    return { name, done: result !== undefined && !undone, resultJson, pivot: pivot ?? false };
  });
}

const sagaNotFound = (sagaId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SAGA_NOT_FOUND, `There is no saga ${sagaId}.`, {
    metadata: { saga_id: sagaId },
  });

const sagaNotParked = (sagaId: string, standing: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SAGA_NOT_PARKED, `The saga ${sagaId} is ${standing}.`, {
    metadata: { saga_id: sagaId },
  });

const sagaDecided = (saga: HeldSaga) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.SAGA_DECIDED,
    `The saga ${saga.sagaId} is decided: from the step ${currentStep(saga).name} on it only goes forward.`,
    { metadata: { saga_id: saga.sagaId } },
  );

const versionUnknown = ({ saga_id: sagaId, definition_version: version }: OperatorRow) =>
  serviceError(
    AnyReasonSchema,
    AnyReason.DEPENDENCY_UNAVAILABLE,
    `This replica does not know version ${version} of the saga ${sagaId}; ask one that does.`,
  );
