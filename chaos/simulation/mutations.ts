// Bugs on purpose, each as somebody could write it. A simulation that does not find them finds nothing.

import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { isRetryable, serviceError } from "#kit/errors/errors.ts";
import type { SagaDefinition, SagaStep } from "#kit/saga/definition.ts";
import type { CardProcessor } from "../../services/payments/card-processor.ts";
import type { StatementModels } from "./model-database.ts";
import type { RelayFaults } from "./relay.ts";
import type { EngineFaults } from "./saga-replicas.ts";

/** What is different in a broken shop. */
export interface Mutation {
  /** Replaces statements of a service. */
  readonly statements?: (service: string, models: StatementModels) => StatementModels;
  readonly saga?: (definition: SagaDefinition) => SagaDefinition;
  readonly processor?: (processor: CardProcessor) => CardProcessor;
  readonly engine?: EngineFaults;
  readonly relay?: RelayFaults;
}

/** The shop as it is. */
export const unbroken: Mutation = {};

function releaseWithoutTombstone(service: string, models: StatementModels): StatementModels {
  if (service !== "inventory") return models;
  return { ...models, "kit-lay-tombstone": () => [{}], "inventory-insert-release-ahead": () => [] };
}

function voidWithoutMark(service: string, models: StatementModels): StatementModels {
  if (service !== "payments") return models;
  const { "kit-lay-tombstone": _, "void-payment-ahead": real, ...rest } = models;
  return {
    ...rest,
    "kit-lay-tombstone": () => [{}],
    "void-payment-ahead": (values, journal) => {
      const [row] = real?.(values, journal) ?? [];
      if ((row as { amount_minor: bigint | null }).amount_minor === null) journal.rollBack();
      return row ? [row] : [];
    },
  };
}

let attempts = 0;

function chargeUnderNewKeys(processor: CardProcessor): CardProcessor {
  return {
    ...processor,
    authorize: (wanted, deadline) =>
      processor.authorize({ ...wanted, key: `${wanted.key}:${++attempts}` }, deadline),
  };
}

const eachStep = (definition: SagaDefinition, change: (step: SagaStep<unknown>) => SagaStep<unknown>) => ({
  ...definition,
  steps: definition.steps.map(change),
});

const withoutPivot = (definition: SagaDefinition) => eachStep(definition, ({ pivot: _, ...step }) => step);

const takeSilenceForRefusal = (definition: SagaDefinition) =>
  eachStep(definition, (step) => ({
    ...step,
    do: (saga, call) =>
      step.do(saga, call).catch((error: unknown) => {
        throw isRetryable(error)
          ? serviceError(ErrorReasonSchema, ErrorReason.ORDER_NOT_FOUND, "It did not answer.")
          : error;
      }),
  }));

function forgetAnswers(_service: string, models: StatementModels): StatementModels {
  return {
    ...models,
    "kit-insert-answer": () => [],
    "kit-insert-answers": () => [],
    "kit-select-answer": () => [],
  };
}

function withoutUndo(name: string) {
  return (definition: SagaDefinition) =>
    eachStep(definition, (step) => {
      const { undo: _, ...rest } = step;
      return step.name === name ? rest : step;
    });
}

const takeSilenceForCapture = (definition: SagaDefinition) =>
  eachStep(definition, (step) => (step.pivot ? { ...step, do: believe(step) } : step));

const believe =
  (step: SagaStep<unknown>): SagaStep<unknown>["do"] =>
  (saga, call) =>
    step.do(saga, call).catch((error: unknown) => {
      if (isRetryable(error)) return {};
      throw error;
    });

const withoutStep = (name: string) => (definition: SagaDefinition) => ({
  ...definition,
  steps: definition.steps.filter((step) => step.name !== name),
});

const takeFailedRefundForPaid = (definition: SagaDefinition) =>
  eachStep(definition, (step) =>
    step.name === "refund" ? { ...step, do: (saga, call) => step.do(saga, call).catch(() => ({})) } : step,
  );

const forgetRefundKeys = (_service: string, models: StatementModels): StatementModels => ({
  ...models,
  "find-refund": () => [],
});

/** The bugs, by what they are. */
export const mutations: Readonly<Record<string, Mutation>> = {
  "releasing stock leaves no tombstone": { statements: releaseWithoutTombstone },
  "voiding a payment leaves no mark": { statements: voidWithoutMark },
  "a replica that lost its lease writes on": { engine: { unfenced: true } },
  "nobody takes over what a dead replica drove": { engine: { neverTakesOver: true } },
  "each attempt charges under a new key": { processor: chargeUnderNewKeys },
  "an unknown capture is undone": { saga: withoutPivot },
  "an unknown outcome counts as a refusal": { saga: takeSilenceForRefusal },
  "answers are not remembered": { statements: forgetAnswers },
  "events are published without an outbox": { relay: { forgets: true } },
  "a step has no undo": { saga: withoutUndo("authorize") },
  "an unknown capture counts as done": { saga: takeSilenceForCapture },
  "a saga is turned back past its pivot": { engine: { turnsDecided: true } },
  "a cancelled order's money stays": { saga: withoutStep("refund") },
  "a cancelled order's pieces stay sold": { saga: withoutStep("restock") },
  "a refund that fails counts as paid": { saga: takeFailedRefundForPaid },
  "payments forgets its refunds": { statements: forgetRefundKeys },
};
