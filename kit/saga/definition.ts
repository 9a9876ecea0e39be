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
}

/** Why a saga turned round. */
export interface SagaFailure {
  readonly step: string;
  /** The participant's error reason, or the kit's when a budget ran out. */
  readonly reason: string;
  readonly message: string;
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
  readonly failure: SagaFailure | undefined;
  /** Name of the last step done; undefined before the first. */
  readonly lastDone: string | undefined;
  readonly status: SagaStatus;
}

export type SagaStatus = "running" | "compensating" | "completed" | "compensated";

/** One step of a saga. */
export interface SagaStep<Input> {
  readonly name: string;
  /**
   * Sends the step's command. A terminal ServiceError turns the saga round; anything else is repeated.
   * @returns what later steps and undoing need to know.
   */
  do(saga: Saga<Input>, call: StepCall): Promise<StepResult>;
  /** Sends the command that undoes the step, also when its outcome is unknown. Absent where there is nothing to undo. */
  undo?(saga: Saga<Input>, call: StepCall): Promise<void>;
  /** One attempt may take this long. */
  readonly attemptTimeoutMs: number;
  /** All attempts together; after that the outcome counts as unknown and the saga turns round. */
  readonly budgetMs: number;
  /** With this step the saga is decided: an unknown outcome is repeated until it is known, never undone. */
  readonly pivot?: true;
}

/** A saga as data. */
export interface SagaDefinition<Input = unknown> {
  readonly name: string;
  /** Stored with each saga; a replica advances only versions it knows. Raise it when the steps change. */
  readonly version: number;
  readonly steps: readonly SagaStep<Input>[];
  /** Local; in the transaction that records the last step. */
  onCompleted(tx: Transaction, saga: Saga<Input>): Promise<void>;
  /** Local; in the transaction that records the last undo. `saga.failure` says why. */
  onCompensated(tx: Transaction, saga: Saga<Input>): Promise<void>;
  /** Called after each recorded transition, in this replica only: for live views. */
  onTransition?(saga: Saga<Input>): void;
}
