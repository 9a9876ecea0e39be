import type { SagaDefinition, SagaFailure, SagaParking, SagaStatus, StepResult } from "./definition.ts";
import type { HeldSaga } from "./progress.ts";

/** A row of `kit.sagas` as the statements return it. */
export interface SagaRow {
  saga_id: string;
  definition: string;
  definition_version: number;
  subject_id: string;
  correlation_id: string;
  status: SagaStatus;
  step: number;
  input: unknown;
  results: Record<string, StepResult>;
  failure: SagaFailure | null;
  parking: SagaParking | null;
  attempt: number;
  fencing_token: bigint;
  version: bigint;
  /** How long the current step had been tried when that was last recorded, by the database's clock. */
  step_age_ms: number;
  /** How long ago the saga was started, by the database's clock. */
  age_ms: number;
}

/** The definition a row is advanced by; undefined where this replica does not serve the row's version. */
export const findDefinition = (
  row: Pick<SagaRow, "definition" | "definition_version">,
  definitions: readonly SagaDefinition[],
): SagaDefinition | undefined =>
  definitions.find(({ name, version }) => name === row.definition && version === row.definition_version);

/**
 * The definition of a row that was claimed.
 * @throws Error when none of the row's name and version is known; claiming asks for known ones only.
 */
export function definitionOf(row: SagaRow, definitions: readonly SagaDefinition[]): SagaDefinition {
  const found = findDefinition(row, definitions);
  if (!found) throw new Error(`no definition ${row.definition} of version ${row.definition_version}`);
  return found;
}

/** Turns a row into a held saga. */
export function toHeld(row: SagaRow, definition: SagaDefinition): HeldSaga {
  return {
    sagaId: row.saga_id,
    definition,
    subjectId: row.subject_id,
    correlationId: row.correlation_id,
    status: row.status,
    step: row.step,
    input: row.input,
    results: row.results,
    failure: row.failure ?? undefined,
    parking: row.parking ?? undefined,
    attempt: row.attempt,
    stepStartedAtMs: performance.now() - row.step_age_ms,
    startedAtMs: performance.now() - row.age_ms,
    fencingToken: row.fencing_token,
    version: row.version,
  };
}
