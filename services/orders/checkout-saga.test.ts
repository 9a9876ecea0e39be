import { describe, expect, test } from "vitest";
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
import { type CheckoutInput, type CheckoutParticipants, checkoutSaga } from "./checkout-saga.ts";

/** More than a double can count: the amount must reach the card as it was. */
const amountMinor = 9_007_199_254_740_993n;

const input: CheckoutInput = {
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

const refused = serviceError(PaymentsReasonSchema, PaymentsReason.CARD_DECLINED, "The card was declined.");
const reservationEnded = serviceError(StockReasonSchema, StockReason.RESERVATION_ENDED, "It was returned.");
const alreadyCaptured = serviceError(
  PaymentsReasonSchema,
  PaymentsReason.PAYMENT_ALREADY_CAPTURED,
  "The payment was captured already.",
);
const unknown = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "It is away.");

interface Sent {
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
const earlier = {
  reserve: {},
  authorize: { reserve: { reservationId: "reservation_1" } },
  book: { reserve: { reservationId: "reservation_1" }, authorize: { paymentId: "payment_1" } },
  capture: {
    reserve: { reservationId: "reservation_1" },
    authorize: { paymentId: "payment_1" },
    book: { shipmentId: "shipment_1" },
  },
};

type StepName = keyof typeof earlier;
const stepNames = Object.keys(earlier) as StepName[];

interface Given {
  /** Where checkout stands; at its beginning where unset. */
  readonly at?: StepName;
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
async function checkOut({
  at = "reserve",
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
    status: "running",
    step: stepNames.indexOf(at),
    input,
    results: earlier[at],
    failure: undefined,
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

const timed = (key: string, timeoutMs: number) => ({
  idempotencyKey: key,
  timeoutMs,
  correlationId: "request-1",
});

describe("a checkout in which everything goes well", () => {
  test("sends each participant its command once, under the saga's key for the step", async () => {
    const { sent } = await checkOut({});
    expect(sent).toEqual([
      {
        command: "reserveStock",
        key: "saga_1:reserve",
        request: { orderId: "order_1", lines: input.lines },
        options: timed("saga_1:reserve", 5_000),
      },
      {
        command: "authorizePayment",
        key: "saga_1:authorize",
        request: {
          orderId: "order_1",
          customerId: "user_1",
          amount: { currencyCode: "EUR", amountMinor },
          paymentMethod: "pm_card_visa",
        },
        options: timed("saga_1:authorize", 8_000),
      },
      {
        command: "bookShipment",
        key: "saga_1:book",
        request: {
          orderId: "order_1",
          customerId: "user_1",
          destination: input.shippingAddress,
          serviceLevel: 2,
          pieces: 5,
        },
        options: timed("saga_1:book", 5_000),
      },
      {
        command: "capturePayment",
        key: "saga_1:capture",
        request: { paymentId: "payment_1" },
        options: timed("saga_1:capture", 8_000),
      },
    ]);
  });

  test("is completed with what each step answered, and tells of every step", async () => {
    const { seen, end } = await checkOut({});
    expect(end).toMatchObject({ status: "completed", failure: undefined });
    expect(end?.results).toMatchObject(earlier.capture);
    expect(seen.map(({ lastDone }) => lastDone)).toEqual(stepNames);
  });
});

const undoing = {
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

const commandOf = {
  reserve: "reserveStock",
  authorize: "authorizePayment",
  book: "bookShipment",
  capture: "capturePayment",
};

describe("a refused step", () => {
  test.each<[StepName, readonly Sent[]]>([
    ["reserve", []],
    ["authorize", [undoing.release]],
    ["book", [undoing.void, undoing.release]],
    ["capture", [undoing.cancel, undoing.void, undoing.release]],
  ])("%s has the steps before it undone, last first", async (step, undone) => {
    const command = commandOf[step];
    const { sent, end } = await checkOut({ at: step, failures: { [command]: [refused] } });
    expect(sent.slice(1)).toEqual(undone);
    expect(sent[0]).toMatchObject({ command, key: `saga_1:${step}` });
    expect(end).toMatchObject({ status: "compensated", failure: { step, reason: "CARD_DECLINED" } });
  });
});

describe("a step whose outcome stays unknown", () => {
  test.each<[StepName, readonly Sent[]]>([
    ["reserve", [undoing.release]],
    ["authorize", [undoing.void, undoing.release]],
    ["book", [undoing.cancel, undoing.void, undoing.release]],
  ])("%s is undone too when its time is over", async (step, undone) => {
    const failures = { [commandOf[step]]: [unknown] };
    const { sent, end } = await checkOut({ at: step, outOfTime: true, failures });
    expect(sent.slice(1)).toEqual(undone);
    expect(end).toMatchObject({ status: "compensated", failure: { step } });
  });

  test.each(stepNames)("%s is repeated under the same key while there is time", async (step) => {
    const command = commandOf[step];
    const { sent, end } = await checkOut({ at: step, failures: { [command]: [unknown] } });
    expect(sent.slice(0, 2)).toEqual([sent[0], sent[0]]);
    expect(sent[0]).toMatchObject({ command, key: `saga_1:${step}` });
    expect(end?.status).toBe("completed");
  });

  test("capture is repeated until its outcome is known: money that may have moved is not undone", async () => {
    const failures = { capturePayment: [unknown, unknown] };
    const { commands, end } = await checkOut({ at: "capture", outOfTime: true, failures });
    expect(commands).toEqual(["capturePayment", "capturePayment", "capturePayment"]);
    expect(end?.status).toBe("completed");
  });

  test("an undo is repeated under the same key until it is done", async () => {
    const failures = { bookShipment: [refused], voidPayment: [unknown, unknown] };
    const { sent, end } = await checkOut({ at: "book", failures });
    expect(sent.slice(1)).toEqual([undoing.void, undoing.void, undoing.void, undoing.release]);
    expect(end?.status).toBe("compensated");
  });
});

describe("a checkout that took long", () => {
  const minuteMs = 60_000;
  const extension = (period: number) => ({
    command: "extendReservation",
    key: `saga_1:capture:extend:${period}`,
    request: { orderId: "order_1" },
  });

  test.each([
    [4 * minuteMs, []],
    [6 * minuteMs, [extension(1)]],
    [31 * minuteMs, [extension(6)]],
  ])(
    "of %i ms keeps its reservation before money is taken, if it could expire",
    async (ageMs, extensions) => {
      const { sent, end } = await checkOut({ at: "capture", ageMs });
      expect(sent).toMatchObject([...extensions, { command: "capturePayment", key: "saga_1:capture" }]);
      expect(end?.status).toBe("completed");
    },
  );

  test("does not take money while nobody knows whether the reservation is kept", async () => {
    const failures = { extendReservation: [unknown, unknown] };
    const { commands, end } = await checkOut({ at: "capture", ageMs: 6 * minuteMs, failures });
    expect(commands).toEqual([...Array(3).fill("extendReservation"), "capturePayment"]);
    expect(end?.status).toBe("completed");
  });

  const givenUp = { command: "voidPayment", key: undoing.void.key, request: undoing.void.request };

  test("is undone, without taking money, when its reservation has expired", async () => {
    const failures = { extendReservation: [reservationEnded] };
    const { sent, end } = await checkOut({ at: "capture", ageMs: 16 * minuteMs, failures });
    expect(sent.slice(1)).toMatchObject([givenUp, undoing.cancel, undoing.void, undoing.release]);
    expect(end).toMatchObject({
      status: "compensated",
      failure: { step: "capture", reason: "RESERVATION_ENDED" },
    });
  });

  test("is confirmed when its reservation has expired after the money was taken, unheard", async () => {
    const failures = { extendReservation: [reservationEnded], voidPayment: [alreadyCaptured] };
    const { sent, end } = await checkOut({ at: "capture", ageMs: 16 * minuteMs, failures });
    expect(sent.slice(1)).toMatchObject([givenUp, { command: "capturePayment", key: "saga_1:capture" }]);
    expect(end).toMatchObject({ status: "completed", failure: undefined });
  });

  test("is neither undone nor paid while nobody knows whether the money was taken", async () => {
    const failures = { extendReservation: Array(3).fill(reservationEnded), voidPayment: [unknown, unknown] };
    const { commands, end } = await checkOut({
      at: "capture",
      ageMs: 16 * minuteMs,
      outOfTime: true,
      failures,
    });
    expect(commands.slice(0, 6)).toEqual(Array(3).fill(["extendReservation", "voidPayment"]).flat());
    expect(end).toMatchObject({ status: "compensated", failure: { reason: "RESERVATION_ENDED" } });
  });
});

describe("a checkout that only a person can end is parked:", () => {
  test.each<[StepName]>([["reserve"], ["authorize"], ["book"]])("%s answered without an id", async (step) => {
    const { sent, end } = await checkOut({ at: step, replies: { [commandOf[step]]: {} } });
    expect(sent).toHaveLength(1);
    expect(end).toMatchObject({
      status: "parked",
      parking: { reason: "UNUSABLE_REPLY" },
      failure: undefined,
    });
  });

  test.each<[StepName, keyof typeof undoing, string]>([
    ["authorize", "release", "releaseStock"],
    ["book", "void", "voidPayment"],
    ["capture", "cancel", "cancelShipment"],
  ])("after %s was refused, the undo %s was refused too", async (at, undo, command) => {
    const { sent, end } = await checkOut({
      at,
      failures: { [commandOf[at]]: [refused], [command]: [refused] },
    });
    expect(sent.slice(1)).toEqual([undoing[undo]]);
    expect(end).toMatchObject({
      status: "parked",
      parking: { reason: "CARD_DECLINED" },
      failure: { step: at },
    });
  });
});

test("a stop between two steps leaves the rest to whoever goes on", async () => {
  const { commands, end } = await checkOut({ stopAfter: 2 });
  expect(commands).toEqual(["reserveStock", "authorizePayment"]);
  expect(end).toMatchObject({ status: "running", lastDone: "authorize" });
});
