// Sagas as a replica holds them, for what is decided about them in memory.
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { SagaDefinition, SagaStep } from "../definition.ts";
import type { HeldSaga } from "../progress.ts";

export const budgetMs = 1_000;
export const undo = async () => {};

/** reserve and authorize can be undone, notify cannot; capture decides; ship comes after the decision. */
export const step = (name: string, rest: Partial<SagaStep<unknown>> = {}): SagaStep<unknown> => ({
  name,
  do: async () => ({}),
  attemptTimeoutMs: 100,
  budgetMs,
  ...rest,
});
export const definition: SagaDefinition = {
  name: "checkout",
  version: 1,
  steps: [
    step("reserve", { undo }),
    step("notify"),
    step("authorize", { undo }),
    step("capture", { pivot: true }),
    step("ship", { undo }),
  ],
  onCompleted: async () => {},
  onCompensated: async () => {},
};
export const [reserve, notify, authorize, capture, ship] = [0, 1, 2, 3, 4];

export const aSaga = (change: Partial<HeldSaga> = {}): HeldSaga => ({
  sagaId: "saga_1",
  definition,
  subjectId: "order_1",
  correlationId: "corr",
  status: "running",
  step: 0,
  input: { pieces: 2 },
  results: {},
  failure: undefined,
  parking: undefined,
  attempt: 0,
  stepStartedAtMs: 0,
  startedAtMs: performance.now(),
  fencingToken: 4n,
  version: 7n,
  ...change,
});

export const refused = serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, "Nothing left.");
export const away = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");
export const failure = { step: "capture", reason: "CARD_DECLINED", message: "No." };
export const undoing = (at: number) => aSaga({ status: "compensating", step: at, failure, attempt: 5 });
export const soonMs = budgetMs - 1;
export const lateMs = budgetMs;
