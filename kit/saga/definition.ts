import type { Transaction } from "#kit/postgres/postgres.ts";

/** What is kept of a step's result: plain JSON. */
export type StepResult = Readonly<Record<string, unknown>>;

/** How a step calls its participant. */
export interface StepCall {
  /** The command's Idempotency-Key: `sagaId:step`, or `sagaId:step:undo`. The same for every attempt. */
  readonly key: string;
  /** How long this attempt may take. */
  readonly timeoutMs: number;
  readonly correlationId: string;
  /** Aborts when the attempt's time is over: what it still brings counts for nothing. */
  readonly signal: AbortSignal;
}

/** Why a saga turned round. */
export interface SagaFailure {
  readonly step: string;
  /** The participant's error reason, or the kit's when a budget ran out. */
  readonly reason: string;
  readonly message: string;
}

/** Why a saga waits for an operator. */
export interface SagaParking {
  /** The error's reason; `UNUSABLE_REPLY` for a reply that says nothing, `INTERNAL` for an undo that never succeeded. */
  readonly reason: string;
  readonly message: string;
}

/**
 * A participant has answered, and what it answered cannot be worked with. Repeating brings the same answer, and the step's
 * effect is unknown, so the saga is parked.
 */
export class UnusableReply extends Error {
  override readonly name = "UnusableReply";
}

/** What a reply must hold. @throws UnusableReply where it does not. */
export function required(value: string | undefined, name: string): string {
  if (!value) throw new UnusableReply(`The reply names no ${name}.`);
  return value;
}

/** A saga as its steps see it. */
export interface Saga<Input> {
  readonly sagaId: string;
  /** What the saga is about: the order's id. */
  readonly subjectId: string;
  readonly correlationId: string;
  readonly input: Input;
  /** Results of the steps done so far, by step name. */
  readonly results: Readonly<Record<string, StepResult>>;
  /** Why it turned round; undefined while it goes forward, also when parked. */
  readonly failure: SagaFailure | undefined;
  /** Undefined unless parked. */
  readonly parking: SagaParking | undefined;
  /** Milliseconds since it was started: by the database's clock when it was taken up, by this process's since. */
  readonly ageMs: number;
  /** Name of the last step done; undefined before the first. */
  readonly lastDone: string | undefined;
  readonly status: SagaStatus;
}

/** `parked` waits for an operator, in the direction that `failure` tells; it goes on where it stopped. */
export type SagaStatus = "running" | "compensating" | "completed" | "compensated" | "parked";

/** One step of a saga. */
export interface SagaStep<Input> {
  readonly name: string;
  /**
   * Sends the step's command. A refusal (a terminal ServiceError) turns the saga round, or parks it after the pivot; an
   * UnusableReply parks it; anything else is repeated.
   * @returns what later steps and undoing need to know.
   */
  do(saga: Saga<Input>, call: StepCall): Promise<StepResult>;
  /**
   * Sends the command that undoes the step, also when its outcome is unknown. Absent where there is nothing to undo. A
   * refusal parks the saga; anything else is repeated.
   */
  undo?(saga: Saga<Input>, call: StepCall): Promise<void>;
  /** One attempt may take this long; then it is given up, and its outcome is unknown. */
  readonly attemptTimeoutMs: number;
  /** All attempts together; after that the outcome counts as unknown and the saga turns round. */
  readonly budgetMs: number;
  /** All attempts to undo together; after that the saga is parked. 15 minutes by default: longer than a bad restart. */
  readonly undoBudgetMs?: number;
  /** With this step the saga is decided: an unknown outcome is repeated until it is known, never undone. */
  readonly pivot?: true;
}

/** The steps that sagas of an earlier version have yet to end by. */
export interface EarlierVersion<Input> {
  readonly version: number;
  readonly steps: readonly SagaStep<Input>[];
}

/** A saga as data. */
export interface SagaDefinition<Input = unknown> {
  readonly name: string;
  /** Stored with each saga; a replica advances only versions it knows. Raise it when the steps change. */
  readonly version: number;
  readonly steps: readonly SagaStep<Input>[];
  /**
   * Versions that may still be under way when this one is deployed: sagas end by the steps they began with. Taken out once
   * `sagas_in_flight` has been without them.
   */
  readonly earlier?: readonly EarlierVersion<Input>[];
  /** Local; in the transaction that records the last step. */
  onCompleted(tx: Transaction, saga: Saga<Input>): Promise<void>;
  /** Local; in the transaction that records the last undo. `saga.failure` says why. */
  onCompensated(tx: Transaction, saga: Saga<Input>): Promise<void>;
  /** Called after each recorded transition, in this replica only: for live views. */
  onTransition?(saga: Saga<Input>): void;
}
