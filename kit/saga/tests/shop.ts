import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Saga, SagaDefinition, SagaStep, StepCall, StepResult } from "#kit/saga/definition.ts";
import { createSagaEngine } from "#kit/saga/saga.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { eventually } from "#kit/testing/testing.ts";
import type { Parts } from "#kit/testing/tests/parts.ts";

/** What a saga of these tests begins with. */
export interface Input {
  readonly pieces: number;
}

type Do = (saga: Saga<Input>, call: StepCall) => Promise<StepResult>;
type Undo = (saga: Saga<Input>, call: StepCall) => Promise<void>;

/** The commands that participants got, by key, in order. */
export interface Participants {
  readonly keys: string[];
  step(name: string, rest?: Partial<SagaStep<Input>>): SagaStep<Input>;
}

/** Participants that do what they are asked, and note it; `do` and `undo` of a step replace that. */
export function createParticipants(): Participants {
  const keys: string[] = [];
  const short = (saga: Saga<Input>, key: string) => key.replace(saga.sagaId, saga.subjectId);
  return {
    keys,
    step: (name, { do: work, undo, ...rest } = {}) => ({
      name,
      attemptTimeoutMs: 10_000,
      budgetMs: 5_000,
      ...rest,
      do: noting(keys, short, work ?? (async () => ({ done: name }))),
      ...(undo && { undo: noting(keys, short, undo) }),
    }),
  };
}

function noting<Result>(
  keys: string[],
  short: (saga: Saga<Input>, key: string) => string,
  work: (saga: Saga<Input>, call: StepCall) => Promise<Result>,
) {
  return (saga: Saga<Input>, call: StepCall) => {
    keys.push(short(saga, call.key));
    return work(saga, call);
  };
}

/** A definition whose hooks count each end under the subject. */
export function aDefinition(
  steps: readonly SagaStep<Input>[],
  change: Partial<SagaDefinition<Input>> = {},
): SagaDefinition<Input> {
  const count =
    (end: string) =>
    async (tx: Transaction, { subjectId }: Saga<Input>) =>
      void (await addTo(tx, `${subjectId} ${end}`, 1));
  return {
    name: "checkout",
    version: 1,
    steps,
    onCompleted: count("completed"),
    onCompensated: count("compensated"),
    ...change,
  };
}

/** How often a saga's hooks have taken effect. */
export const endsOf = async (parts: Parts, subjectId: string) => ({
  completed: await readCounter(parts.db, `${subjectId} completed`),
  compensated: await readCounter(parts.db, `${subjectId} compensated`),
});

/** An engine as one replica has it; `stop` ends it as SIGTERM does. */
export function openEngine(
  parts: Parts,
  definitions: readonly SagaDefinition<Input>[],
  { leaseMs = 10_000, runs = true, drives = true } = {},
) {
  const engine = createSagaEngine({
    ...parts,
    definitions: definitions as readonly SagaDefinition<never>[],
    leaseMs,
    drives,
  });
  const stopping = new AbortController();
  const ended = runs ? engine.run(stopping.signal) : Promise.resolve();
  return {
    engine,
    /** Starts sagas about these subjects in one transaction. */
    start: (definition: SagaDefinition<Input>, ...subjects: string[]) =>
      parts.db.transaction(async (tx) =>
        subjects.map((subjectId) =>
          engine.start(tx, definition, { subjectId, correlationId: "corr", input: { pieces: 2 } }),
        ),
      ),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

/** A row of the table, by what the saga is about. */
export async function rowOf(parts: Parts, subjectId: string) {
  const [row] = await parts.asOwner(
    `select status, step, results, failure, attempt, lease_owner, lease_expires_at, fencing_token, saga_id
       from kit.sagas where subject_id = '${subjectId}'`,
  );
  return row;
}

/** Waits until the saga about a subject has this status. */
export const becomes = (parts: Parts, subject: string, status: string) =>
  eventually(async () => expect(await rowOf(parts, subject)).toMatchObject({ status }));

/** A step whose participant refuses until it is told otherwise. */
export function createStubborn(error: () => Error = refused) {
  let failing = true;
  return {
    relent: () => {
      failing = false;
    },
    async do() {
      if (failing) throw error();
      return { done: "at last" };
    },
    async undo() {
      if (failing) throw error();
    },
  };
}

/** Nothing to undo, and no trouble with it. */
export const undo = async () => {};

/** A subject of its own. */
export const aSubject = (name: string) => `${name}-${randomUUID().slice(0, 8)}`;

export const refused = () => serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, "Nothing left.");
export const away = () => serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");

export type { Do, Undo };
