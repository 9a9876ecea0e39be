import { isRetryable } from "#kit/errors/errors.ts";
import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { onRecovery } from "#kit/rpc/client.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { type StepCall, type StepResult, UnusableReply } from "./definition.ts";
import {
  afterDone,
  afterFailedDo,
  afterFailedUndo,
  afterParked,
  afterUndone,
  currentStep,
  type HeldSaga,
  isAtRest,
  isRefusal,
  type Transition,
  toView,
} from "./progress.ts";
import type { Recorder } from "./recorder.ts";

/** What driving needs of the engine. */
export interface Driver {
  readonly recorder: Recorder;
  readonly log: Logger;
}

/** Advances a saga until it ends, is parked, is lost to another replica, or the signal asks to stop between two steps. */
export async function drive(driver: Driver, held: HeldSaga, signal: AbortSignal): Promise<void> {
  let saga = held;
  while (!isAtRest(saga) && !signal.aborted) {
    const { attempted, failure } = await attempt(driver, saga);
    if (armed) await reach(placeOf(saga, "before-record"));
    const transition = await record(driver, attempted);
    if (!transition) return;
    if (armed) await reach(placeOf(saga, "recorded"));
    saga = transition.after;
    if (saga.status === "parked") tellParked(driver, saga);
    saga.definition.onTransition?.(toView(saga));
    if (transition.waitMs > 0) await pause(transition.waitMs, failure, signal);
  }
}

/** Waits; shorter where the participant whose failure it was is well again. */
async function pause(waitMs: number, failure: unknown, signal: AbortSignal) {
  const woken = new AbortController();
  const leave = onRecovery(failure, () => woken.abort());
  await delay(waitMs, AbortSignal.any([signal, woken.signal])).catch(() => {});
  leave();
}

/** What an attempt came to, and what it failed with. */
interface Attempt {
  readonly attempted: Transition;
  readonly failure?: unknown;
}

const attempt = (driver: Driver, saga: HeldSaga): Promise<Attempt> =>
  saga.status === "running" ? attemptDo(driver, saga) : attemptUndo(driver, saga);

async function attemptDo(driver: Driver, saga: HeldSaga): Promise<Attempt> {
  const step = currentStep(saga);
  try {
    if (armed) await reach(placeOf(saga, "before-call"));
    const result = await inTime(saga, step.name, (call) => step.do(toView(saga), call));
    return { attempted: afterDone(saga, storable(result)) };
  } catch (failure) {
    complain(driver, saga, failure);
    return { attempted: afterFailedDo(saga, failure, performance.now()), failure };
  }
}

async function attemptUndo(driver: Driver, saga: HeldSaga): Promise<Attempt> {
  const step = currentStep(saga);
  try {
    if (armed) await reach(placeOf(saga, "before-call"));
    await inTime(saga, `${step.name}:undo`, async (call) => step.undo?.(toView(saga), call));
    return { attempted: afterUndone(saga) };
  } catch (failure) {
    complain(driver, saga, failure);
    return { attempted: afterFailedUndo(saga, failure, performance.now()), failure };
  }
}

/** The service's own word on the end may be a refusal too; it would be the same each time. */
async function record({ recorder }: Driver, transition: Transition): Promise<Transition | undefined> {
  try {
    return (await recorder.record(transition)) ? transition : undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const parked = afterParked(transition.before, error);
    return (await recorder.record(parked)) ? parked : undefined;
  }
}

/** A step's own client ends at the attempt's time, and its error says more. */
const graceMs = 250;

/** Gives an attempt up that does not end by itself; whatever it brings later is a reply to an attempt nobody waits for. */
async function inTime<Result>(
  saga: HeldSaga,
  command: string,
  work: (call: StepCall) => Promise<Result>,
): Promise<Result> {
  const timeoutMs = currentStep(saga).attemptTimeoutMs;
  const over = Promise.withResolvers<never>();
  const ending = new AbortController();
  const timer = setTimeout(() => {
    const error = new Error(`the attempt did not end within ${timeoutMs} ms`);
    over.reject(error);
    ending.abort(error);
  }, timeoutMs + graceMs);
  const { sagaId, correlationId } = saga;
  const call = { key: `${sagaId}:${command}`, timeoutMs, correlationId, signal: ending.signal };
  try {
    return await Promise.race([work(call), over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Results are for ids and the like; the row is written anew with each step. */
const maxResultLength = 16_384;
const nul = /(?<!\\)(?:\\\\)*\\u0000/;

/** What cannot be recorded would stop the saga each time, and everything else in its batch the first time. */
function storable(result: StepResult): StepResult {
  let text: string | undefined;
  try {
    text = JSON.stringify(result);
  } catch (cause) {
    throw new UnusableReply("The step's result is no JSON.", { cause });
  }
  if (text === undefined || text.length > maxResultLength || nul.test(text))
    throw new UnusableReply("The step's result cannot be recorded.");
  return result;
}

/** `saga:checkout:reserve:recorded`, or `saga:checkout:reserve:undo:recorded`. */
function placeOf(saga: HeldSaga, moment: string): string {
  const undoing = saga.status === "compensating" ? ":undo" : "";
  return `saga:${saga.definition.name}:${currentStep(saga).name}${undoing}:${moment}`;
}

/** A refusal is business; an unknown outcome is worth a line. */
function complain({ log }: Driver, saga: HeldSaga, error: unknown) {
  const level = isRetryable(error) ? "warn" : "debug";
  log[level]({ err: error, ...fieldsOf(saga) }, "a saga step failed");
}

function tellParked({ log }: Driver, saga: HeldSaga) {
  const { reason, message } = saga.parking ?? {};
  log.warn({ ...fieldsOf(saga), reason, detail: message }, "a saga is parked: it waits for an operator");
}

const fieldsOf = (saga: HeldSaga) => ({
  saga: saga.sagaId,
  subject: saga.subjectId,
  step: currentStep(saga).name,
  status: saga.status,
  correlationId: saga.correlationId,
});
