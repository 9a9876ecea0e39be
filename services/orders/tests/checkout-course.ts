// Given where a checkout stands and what participants answer: what is sent, and what it comes to.
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import {
  ErrorReason as PaymentsReason,
  ErrorReasonSchema as PaymentsReasonSchema,
} from "#gen/souk/payments/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import { drive } from "#kit/saga/drive.ts";
import type { HeldSaga } from "#kit/saga/progress.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { type CheckoutInput, type CheckoutParticipants, checkoutSaga } from "../checkout-saga.ts";

/** More than a double can count: the amount must reach the card as it was. */
export const amountMinor = 9_007_199_254_740_993n;

/** An order of five pieces of two products. */
export const input: CheckoutInput = {
  customerId: "user_1",
  lines: [
    { sku: "TEA-1", quantity: 2 },
    { sku: "MUG-1", quantity: 3 },
  ],
  total: { currencyCode: "EUR", amountMinor: String(amountMinor) },
  paymentMethod: "pm_card_visa",
  shippingAddress: {
    name: "Ada",
    line1: "Chausseestr. 1",
    line2: "",
    city: "Berlin",
    postalCode: "10115",
    countryCode: "DE",
  },
  serviceLevel: "express",
};

/** A participant says no. */
export const refused = serviceError(
  PaymentsReasonSchema,
  PaymentsReason.CARD_DECLINED,
  "The card was declined.",
);
/** Inventory has let the pieces go. */
export const reservationEnded = serviceError(
  StockReasonSchema,
  StockReason.RESERVATION_ENDED,
  "It was returned.",
);
/** Payments has taken the money before. */
export const alreadyCaptured = serviceError(
  PaymentsReasonSchema,
  PaymentsReason.PAYMENT_ALREADY_CAPTURED,
  "The payment was captured already.",
);
/** Nobody knows what happened. */
export const unknown = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "It is away.");

/** A command as it was sent. */
export interface Sent {
  readonly command: string;
  readonly key: string | undefined;
  readonly request: unknown;
  readonly options: unknown;
}

const answers: Readonly<Record<string, object>> = {
  reserveStock: { reservation: { reservationId: "reservation_1" } },
  authorizePayment: { payment: { paymentId: "payment_1" } },
  bookShipment: { shipment: { shipmentId: "shipment_1" } },
};

/** Participants of the generated types that write down what they are sent; `failures` are answered first, one by one. */
function record(
  failures: Readonly<Record<string, readonly Error[]>>,
  replies: Readonly<Record<string, object>>,
) {
  const sent: Sent[] = [];
  const attempts = new Map<string, number>();
  const answer = (command: string) => async (request: unknown, options: { idempotencyKey?: string }) => {
    const attempt = attempts.get(command) ?? 0;
    attempts.set(command, attempt + 1);
    sent.push({ command, key: options.idempotencyKey, request, options });
    const failure = failures[command]?.[attempt];
    if (failure) throw failure;
    return replies[command] ?? {};
  };
  const participant = new Proxy({}, { get: (_, command: string) => answer(command) });
  const participants = { inventory: participant, payments: participant, shipping: participant };
  return { sent, participants: participants as CheckoutParticipants };
}

/** Everything done before each step. */
export const earlier = {
  reserve: {},
  authorize: { reserve: { reservationId: "reservation_1" } },
  book: { reserve: { reservationId: "reservation_1" }, authorize: { paymentId: "payment_1" } },
  capture: {
    reserve: { reservationId: "reservation_1" },
    authorize: { paymentId: "payment_1" },
    book: { shipmentId: "shipment_1" },
  },
};

/** A step of checkout. */
export type StepName = keyof typeof earlier;
/** The steps, in their order. */
export const stepNames = Object.keys(earlier) as StepName[];

interface Given {
  /** Where checkout stands; at its beginning where unset. */
  readonly at?: StepName;
  /** Its customer has cancelled: it was turned back there. */
  readonly turnedBack?: boolean;
  /** How long ago it was started; just now where unset. */
  readonly ageMs?: number;
  /** Its budget is spent: the next failure is the step's last. */
  readonly outOfTime?: boolean;
  readonly failures?: Readonly<Record<string, readonly Error[]>>;
  /** What participants answer instead of what they should. */
  readonly replies?: Readonly<Record<string, object>>;
  /** Stops driving once so many commands were sent. */
  readonly stopAfter?: number;
}

/** Drives a checkout in memory, and tells what was sent and what it came to. */
export async function checkOut({
  at = "reserve",
  turnedBack = false,
  ageMs = 0,
  outOfTime = false,
  failures = {},
  replies = {},
  stopAfter,
}: Given) {
  const { sent, participants } = record(failures, { ...answers, ...replies });
  const stopping = new AbortController();
  const seen: Saga<CheckoutInput>[] = [];
  const definition = checkoutSaga(participants, {
    onEnded: () => {},
    onTransition(saga) {
      seen.push(saga);
      if (sent.length >= (stopAfter ?? Number.POSITIVE_INFINITY)) stopping.abort();
    },
  });
  const held: HeldSaga = {
    sagaId: "saga_1",
    definition: definition as SagaDefinition<unknown>,
    subjectId: "order_1",
    correlationId: "request-1",
    status: turnedBack ? "compensating" : "running",
    step: stepNames.indexOf(at),
    input,
    results: earlier[at],
    failure: turnedBack ? { step: at, reason: "CUSTOMER_CANCELLED", message: "" } : undefined,
    parking: undefined,
    attempt: 0,
    startedAtMs: performance.now() - ageMs,
    stepStartedAtMs: outOfTime ? Number.NEGATIVE_INFINITY : performance.now(),
    fencingToken: 1n,
    version: 1n,
  };
  const log = createLogger({ service: "test", level: "silent" });
  await drive({ recorder: { record: async () => true }, log }, held, stopping.signal);
  const commands = sent.map(({ command }) => command);
  return { sent, commands, seen, end: seen.at(-1) };
}

/** What a step calls with. */
export const timed = (key: string, timeoutMs: number) => ({
  idempotencyKey: key,
  timeoutMs,
  correlationId: "request-1",
});

/** What undoes which step. */
export const undoing = {
  release: {
    command: "releaseStock",
    key: "saga_1:reserve:undo",
    request: { orderId: "order_1", reserveKey: "saga_1:reserve" },
    options: timed("saga_1:reserve:undo", 5_000),
  },
  void: {
    command: "voidPayment",
    key: "saga_1:authorize:undo",
    request: { orderId: "order_1", authorizeKey: "saga_1:authorize" },
    options: timed("saga_1:authorize:undo", 8_000),
  },
  cancel: {
    command: "cancelShipment",
    key: "saga_1:book:undo",
    request: { orderId: "order_1", bookKey: "saga_1:book" },
    options: timed("saga_1:book:undo", 5_000),
  },
};

/** What does which step. */
export const commandOf = {
  reserve: "reserveStock",
  authorize: "authorizePayment",
  book: "bookShipment",
  capture: "capturePayment",
};
