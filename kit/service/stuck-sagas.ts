import type { Database } from "#kit/postgres/postgres.ts";
import { idPages, type Reconciliation } from "#kit/reconciliation/definition.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import {
  measureOldestSteps,
  type SagaStanding,
  sagaHasEnded,
  sagasById,
  slowSagaIds,
} from "#kit/saga/watch.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import type { Job } from "./definition.ts";

const everyMs = 30_000;
const measureMs = 5_000;

/** Keeps the metric of the slowest saga. */
export const measureSagas = (
  db: Database,
  definitions: readonly SagaDefinition<never>[],
  metrics: Metrics,
): Job => ({
  name: "measure-sagas",
  everyMs: measureMs,
  run: () => measureOldestSteps(db, definitions, metrics),
});

/** The comparison of sagas with the end they must come to; none for a service without sagas. */
export function stuckSagas(db: Database, definitions: readonly SagaDefinition<never>[]): Reconciliation[] {
  if (definitions.length === 0) return [];
  return [
    {
      name: "stuck-sagas",
      everyMs,
      subjects: ({ graceMs }) =>
        idPages("", (after, limit) => slowSagaIds(db, { after, stepAgeMs: graceMs, limit })),
      async judge(sagaIds, { graceMs }) {
        const found = new Map((await sagasById(db, sagaIds)).map((saga) => [saga.sagaId, saga]));
        return sagaIds.map((subjectId) => ({
          subjectId,
          discrepancy: complaint(found.get(subjectId), graceMs),
        }));
      },
    },
  ];
}

function complaint(saga: SagaStanding | undefined, graceMs: number): string | undefined {
  if (!saga || sagaHasEnded(saga)) return undefined;
  const { definition, subjectId, status, step, attempt, stepAgeMs } = saga;
  if (status !== "parked" && stepAgeMs < graceMs) return undefined;
  return `${definition} of ${subjectId} is ${status} at step ${step + 1} after ${attempt} failed attempts`;
}
