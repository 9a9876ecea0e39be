import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { isRetryable, ServiceError, serviceError, toServiceError } from "#kit/errors/errors.ts";
import { backoffMs } from "#kit/time/time.ts";
import {
  type Saga,
  type SagaDefinition,
  type SagaFailure,
  type SagaParking,
  type SagaStatus,
  type SagaStep,
  type StepResult,
  UnusableReply,
} from "./definition.ts";

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
  readonly parking: SagaParking | undefined;
  /** Attempts made of the current step. */
  readonly attempt: number;
  /** On this process's monotonic clock, like `startedAtMs`. */
  readonly stepStartedAtMs: number;
  readonly startedAtMs: number;
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

const undoBudgetMs = 15 * 60_000;

/** Whether the saga has ended. */
export const hasEnded = ({ status }: Pick<HeldSaga, "status">) =>
  status === "completed" || status === "compensated";

/** Whether there is nothing for a replica to do: it has ended, or waits for an operator. */
export const isAtRest = (saga: Pick<HeldSaga, "status">) => hasEnded(saga) || saga.status === "parked";

/** Which way the saga goes, also while it is parked: a saga that has turned round knows why. */
const directionOf = ({ failure }: Pick<HeldSaga, "failure">) => (failure ? "compensating" : "running");

/** Whether what can be undone no longer is: the pivot is reached or behind. */
export const isDecided = ({ definition, step }: HeldSaga) =>
  definition.steps.some((candidate, index) => candidate.pivot && index <= step);

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
  const step = currentStep(saga);
  if (error instanceof UnusableReply) return afterParked(saga, error);
  const decided = saga.definition.steps.slice(0, saga.step).some((earlier) => earlier.pivot);
  if (decided) return isRefusal(error) ? afterParked(saga, error) : repeat(saga);
  // A refusal had no effect, so undoing starts at the step before.
  if (isRefusal(error)) return turnBack(saga, saga.step - 1, toFailure(step, error));
  const spent = nowMs - saga.stepStartedAtMs >= step.budgetMs;
  // An unknown outcome is undone too, unless it decides the saga: then it must become known.
  return spent && !step.pivot ? turnBack(saga, saga.step, toFailure(step, error)) : repeat(saga);
}

/** An attempt to undo the step failed. It is never dropped: a person is asked where the engine cannot go on. */
export function afterFailedUndo(saga: HeldSaga, error: unknown, nowMs: number): Transition {
  const step = currentStep(saga);
  const spent = nowMs - saga.stepStartedAtMs >= (step.undoBudgetMs ?? undoBudgetMs);
  return spent || isRefusal(error) || error instanceof UnusableReply
    ? afterParked(saga, error)
    : repeat(saga);
}

/** The saga waits for an operator, because of this error. */
export function afterParked(saga: HeldSaga, error: unknown): Transition {
  const change = { status: "parked", parking: toParking(error), version: saga.version + 1n } as const;
  return { before: saga, after: { ...saga, ...change }, result: undefined, waitMs: 0 };
}

/** A parked saga goes on where it stopped, with fresh budgets. */
export const afterRetried = (saga: HeldSaga): Transition =>
  advance(saga, { status: directionOf(saga) }, undefined);

/** An operator says that what the step should have done, or its undo, is done. */
export function afterSettled(saga: HeldSaga): Transition {
  if (saga.failure) return afterUndone(saga);
  return afterDone(saga, saga.results[currentStep(saga).name] ?? {});
}

/** An operator turns a parked saga round. The step itself is undone too: nobody knows what a parked attempt did. */
export function afterTurned(saga: HeldSaga): Transition {
  if (saga.failure) return afterUndone(saga);
  const { reason, message } = saga.parking ?? { reason: "", message: "" };
  return turnBack(saga, saga.step, { step: currentStep(saga).name, reason, message });
}

/**
 * Codes that tell of the caller or of a deploy, not of what was asked for: a token nobody accepts just now, a method that an
 * older replica does not have yet. The next attempt may fare better, so they refuse nothing.
 */
const notAboutTheCommand: ReadonlySet<Code> = new Set([
  Code.UNAUTHENTICATED,
  Code.PERMISSION_DENIED,
  Code.UNIMPLEMENTED,
]);

/** Whether a participant said no, for good. */
export const isRefusal = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && !isRetryable(error) && !notAboutTheCommand.has(error.code);

/** The saga as its steps and hooks see it. */
export function toView(saga: HeldSaga): Saga<unknown> {
  const { sagaId, subjectId, correlationId, input, results, failure, parking, status, definition } = saga;
  const lastDone = definition.steps.findLast((step) => step.name in results)?.name;
  const ageMs = performance.now() - saga.startedAtMs;
  return { sagaId, subjectId, correlationId, input, results, failure, parking, status, lastDone, ageMs };
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
  const fresh = { attempt: 0, stepStartedAtMs: performance.now(), parking: undefined };
  const after = { ...saga, ...fresh, ...change, version };
  return { before: saga, after, result, waitMs: 0 };
}

function toFailure(step: SagaStep<unknown>, error: unknown): SagaFailure {
  const { reason, message } = error instanceof ServiceError ? error : didNotEnd(step, error);
  return { step: step.name, reason, message: storable(message) };
}

function toParking(error: unknown): SagaParking {
  if (error instanceof UnusableReply) return { reason: "UNUSABLE_REPLY", message: storable(error.message) };
  const { reason, message } = toServiceError(error);
  return { reason, message: storable(message) };
}

/** Texts of others go into a jsonb column, which takes anything but NUL. */
const storable = (text: string) => text.replaceAll("\0", "").slice(0, 1_000);

const didNotEnd = (step: SagaStep<unknown>, cause: unknown) =>
  serviceError(ErrorReasonSchema, ErrorReason.DEADLINE_EXCEEDED, `The step ${step.name} did not end.`, {
    cause,
  });
