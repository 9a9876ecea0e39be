import { isRetryable } from "#kit/errors/errors.ts";
import { reach } from "#kit/failpoints/failpoints.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  afterUndone,
  currentStep,
  type HeldSaga,
  hasEnded,
  type Transition,
  toView,
} from "./progress.ts";
import type { Recorder } from "./recorder.ts";

/** What driving needs of the engine. */
export interface Driver {
  readonly recorder: Recorder;
  readonly log: Logger;
}

/** Advances a saga until it ends, is lost to another replica, or the signal asks to stop between two steps. */
export async function drive(driver: Driver, held: HeldSaga, signal: AbortSignal): Promise<void> {
  let saga = held;
  while (!hasEnded(saga) && !signal.aborted) {
    const transition = await attempt(driver, saga);
    await reach(`saga:${saga.definition.name}:${currentStep(saga).name}:before-record`);
    if (!(await driver.recorder.record(transition))) return;
    await reach(`saga:${saga.definition.name}:${currentStep(saga).name}:recorded`);
    saga = transition.after;
    saga.definition.onTransition?.(toView(saga));
    if (transition.waitMs > 0) await delay(transition.waitMs, signal).catch(() => {});
  }
}

const attempt = (driver: Driver, saga: HeldSaga): Promise<Transition> =>
  saga.status === "running" ? attemptDo(driver, saga) : attemptUndo(driver, saga);

async function attemptDo(driver: Driver, saga: HeldSaga): Promise<Transition> {
  const step = currentStep(saga);
  try {
    await reach(`saga:${saga.definition.name}:${step.name}:before-call`);
    return afterDone(saga, await step.do(toView(saga), toCall(saga, `${saga.sagaId}:${step.name}`)));
  } catch (error) {
    complain(driver, saga, error);
    return afterFailedDo(saga, error, performance.now());
  }
}

async function attemptUndo(driver: Driver, saga: HeldSaga): Promise<Transition> {
  const step = currentStep(saga);
  try {
    await step.undo?.(toView(saga), toCall(saga, `${saga.sagaId}:${step.name}:undo`));
    return afterUndone(saga);
  } catch (error) {
    complain(driver, saga, error);
    return afterFailedUndo(saga);
  }
}

const toCall = (saga: HeldSaga, key: string) => ({
  key,
  timeoutMs: currentStep(saga).attemptTimeoutMs,
  correlationId: saga.correlationId,
});

/** A refusal is business; an unknown outcome is worth a line. */
function complain({ log }: Driver, saga: HeldSaga, error: unknown) {
  const level = isRetryable(error) ? "warn" : "debug";
  const { sagaId, status, correlationId } = saga;
  log[level](
    { err: error, saga: sagaId, step: currentStep(saga).name, status, correlationId },
    "a saga step failed",
  );
}
