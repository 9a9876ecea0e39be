import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { isRetryable, ServiceError, serviceError } from "#kit/errors/errors.ts";
import { backoffMs } from "#kit/time/time.ts";
import type { Saga, SagaDefinition, SagaFailure, SagaStatus, SagaStep, StepResult } from "./definition.ts";

/** A saga as a replica holds it: the row, and what the lease is worth. */
export interface HeldSaga {
  readonly sagaId: string;
  readonly definition: SagaDefinition;
  readonly subjectId: string;
  readonly correlationId: string;
  readonly status: SagaStatus;
  /** Index of the step to do next, or, while compensating, to undo next. */
  readonly step: number;
  readonly input: unknown;
  readonly results: Readonly<Record<string, StepResult>>;
  readonly failure: SagaFailure | undefined;
  /** Attempts made of the current step. */
  readonly attempt: number;
  /** On this process's monotonic clock. */
  readonly stepStartedAtMs: number;
  readonly fencingToken: bigint;
  readonly version: bigint;
}

/** A change of a saga that is to be recorded. */
export interface Transition {
  readonly before: HeldSaga;
  readonly after: HeldSaga;
  /** What the step that was just done returned. */
  readonly result: StepResult | undefined;
  /** How long to wait before the next attempt; 0 goes on at once. */
  readonly waitMs: number;
}

const retry = { baseMs: 200, maxMs: 5_000 };

/** Whether the saga has ended. */
export const hasEnded = ({ status }: HeldSaga) => status === "completed" || status === "compensated";

/** The step that is to be done or undone now. */
export function currentStep({ definition, step }: HeldSaga): SagaStep<unknown> {
  const found = definition.steps[step];
  if (!found) throw new Error(`saga ${definition.name} has no step ${step}`);
  return found;
}

/** The step was done. */
export function afterDone(saga: HeldSaga, result: StepResult): Transition {
  const { name } = currentStep(saga);
  const step = saga.step + 1;
  const status = step === saga.definition.steps.length ? "completed" : "running";
  return advance(saga, { status, step, results: { ...saga.results, [name]: result } }, { [name]: result });
}

/** The step was undone. */
export const afterUndone = (saga: HeldSaga): Transition => turnBack(saga, saga.step - 1, saga.failure);

/** An attempt to do the step failed. */
export function afterFailedDo(saga: HeldSaga, error: unknown, nowMs: number): Transition {
  const decided = saga.definition.steps.slice(0, saga.step).some((step) => step.pivot);
  if (decided) return repeat(saga);
  const step = currentStep(saga);
  // A refusal had no effect, so undoing starts at the step before.
  if (!isRetryable(error)) return turnBack(saga, saga.step - 1, toFailure(step, error));
  const spent = nowMs - saga.stepStartedAtMs >= step.budgetMs;
  // An unknown outcome is undone too, unless it decides the saga: then it must become known.
  return spent && !step.pivot
    ? turnBack(saga, saga.step, toFailure(step, timedOut(step, error)))
    : repeat(saga);
}

/** An attempt to undo the step failed: undoing never gives up. */
export const afterFailedUndo = (saga: HeldSaga): Transition => repeat(saga);

/** The saga as its steps and hooks see it. */
export function toView(saga: HeldSaga): Saga<unknown> {
  const { sagaId, subjectId, correlationId, input, results, failure, status, definition } = saga;
  const lastDone = definition.steps.findLast((step) => step.name in results)?.name;
  return { sagaId, subjectId, correlationId, input, results, failure, status, lastDone };
}

function repeat(saga: HeldSaga): Transition {
  const attempt = saga.attempt + 1;
  const waitMs = Math.ceil(backoffMs(attempt, retry));
  return { before: saga, after: { ...saga, attempt, version: saga.version + 1n }, result: undefined, waitMs };
}

/** Skips steps that have nothing to undo. */
function turnBack(saga: HeldSaga, from: number, failure: SagaFailure | undefined): Transition {
  const step = saga.definition.steps.findLastIndex((candidate, index) => index <= from && candidate.undo);
  const status = step < 0 ? "compensated" : "compensating";
  return advance(saga, { status, step: Math.max(step, 0), failure }, undefined);
}

function advance(saga: HeldSaga, change: Partial<HeldSaga>, result: StepResult | undefined): Transition {
  const version = saga.version + 1n;
  const after = { ...saga, ...change, attempt: 0, stepStartedAtMs: performance.now(), version };
  return { before: saga, after, result, waitMs: 0 };
}

function toFailure(step: SagaStep<unknown>, error: unknown): SagaFailure {
  const known = error as ServiceError;
  return { step: step.name, reason: known.reason, message: known.message };
}

const timedOut = (step: SagaStep<unknown>, cause: unknown) =>
  cause instanceof ServiceError
    ? cause
    : serviceError(ErrorReasonSchema, ErrorReason.DEADLINE_EXCEEDED, `The step ${step.name} did not end.`, {
        cause,
      });
