import { describe, expect, test } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as PaymentsReason,
  ErrorReasonSchema as PaymentsReasonSchema,
} from "#gen/souk/payments/v1/errors_pb.ts";
import {
  ErrorReason as ShippingReason,
  ErrorReasonSchema as ShippingReasonSchema,
} from "#gen/souk/shipping/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import { drive } from "#kit/saga/drive.ts";
import type { HeldSaga } from "#kit/saga/progress.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { type CancelInput, cancelSaga } from "./cancel-saga.ts";
import type { CheckoutParticipants } from "./checkout-saga.ts";
import { type ReturnInput, refundSaga, returnSaga } from "./refund-sagas.ts";

/** More than a double can count: the amount must reach the card as it was. */
const amountMinor = 9_007_199_254_740_993n;
const amount = { currencyCode: "EUR", amountMinor: String(amountMinor) };
const lines = [
  { sku: "TEA-1", quantity: 2 },
  { sku: "MUG-1", quantity: 3 },
];

const returnInput: ReturnInput = {
  paymentId: "payment_1",
  refundId: "return_1",
  reservationId: "reservation_1",
  amount,
  lines,
};
const cancelInput: CancelInput = {
  paymentId: "payment_1",
  reservationId: "reservation_1",
  bookKey: "saga_0:book",
  lines,
};

const unknown = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "It is away.");
const dispatched = serviceError(
  ShippingReasonSchema,
  ShippingReason.SHIPMENT_ALREADY_DISPATCHED,
  "It has left.",
);
const exceeded = (left: string) =>
  serviceError(PaymentsReasonSchema, PaymentsReason.REFUND_EXCEEDS_CAPTURE, "Too much.", {
    metadata: { left_minor: left },
  });

interface Sent {
  readonly command: string;
  readonly key: string | undefined;
  readonly request: unknown;
}

/** Participants that write down what they are sent; `failures` are answered first, one by one. */
function record(failures: Readonly<Record<string, readonly Error[]>>) {
  const sent: Sent[] = [];
  const attempts = new Map<string, number>();
  const answer = (command: string) => async (request: unknown, options: { idempotencyKey?: string }) => {
    const attempt = attempts.get(command) ?? 0;
    attempts.set(command, attempt + 1);
    sent.push({ command, key: options.idempotencyKey, request });
    const failure = failures[command]?.[attempt];
    if (failure) throw failure;
    return {};
  };
  const participant = new Proxy({}, { get: (_, command: string) => answer(command) });
  const participants = { inventory: participant, payments: participant, shipping: participant };
  return { sent, participants: participants as CheckoutParticipants };
}

interface Given {
  readonly failures?: Readonly<Record<string, readonly Error[]>>;
  /** The first step's budget is spent. */
  readonly outOfTime?: boolean;
}

/** Drives a saga in memory from its beginning; tells what was sent and what it came to. */
async function run<Input>(
  define: (participants: CheckoutParticipants) => SagaDefinition<Input>,
  input: Input,
  { failures = {}, outOfTime = false }: Given = {},
) {
  const { sent, participants } = record(failures);
  const seen: Saga<unknown>[] = [];
  const definition = { ...define(participants), onTransition: (saga: Saga<unknown>) => void seen.push(saga) };
  const held: HeldSaga = {
    sagaId: "saga_1",
    definition: definition as SagaDefinition<unknown>,
    subjectId: "order_1",
    correlationId: "request-1",
    status: "running",
    step: 0,
    input,
    results: {},
    failure: undefined,
    parking: undefined,
    startedAtMs: performance.now(),
    attempt: 0,
    stepStartedAtMs: outOfTime ? Number.NEGATIVE_INFINITY : performance.now(),
    fencingToken: 1n,
    version: 1n,
  };
  const log = createLogger({ service: "test", level: "silent" });
  await drive({ recorder: { record: async () => true }, log }, held, new AbortController().signal);
  return { sent, commands: sent.map(({ command }) => command), end: seen.at(-1) };
}

const refundSent: Sent = {
  command: "refundPayment",
  key: "saga_1:refund",
  request: { paymentId: "payment_1", amount: { currencyCode: "EUR", amountMinor }, note: "return_1" },
};
const restockSent: Sent = {
  command: "returnStock",
  key: "saga_1:restock",
  request: { orderId: "order_1", reservationId: "reservation_1", lines },
};

describe("a return", () => {
  const define = (participants: CheckoutParticipants) => returnSaga(participants, () => {});

  test("pays back, then puts the pieces into stock, each under the saga's key for the step", async () => {
    const { sent, end } = await run(define, returnInput);
    expect(sent).toEqual([refundSent, restockSent]);
    expect(end?.status).toBe("completed");
  });

  test("of pieces that nobody can sell touches no stock", async () => {
    const { commands, end } = await run(define, { ...returnInput, lines: [] });
    expect(commands).toEqual(["refundPayment"]);
    expect(end?.status).toBe("completed");
  });

  test("of pieces that were paid back before touches no money", async () => {
    const free = { ...returnInput, amount: { ...amount, amountMinor: "0" } };
    const { commands, end } = await run(define, free);
    expect(commands).toEqual(["returnStock"]);
    expect(end?.status).toBe("completed");
  });

  test("whose money payments refuses ends with nothing done, and says why", async () => {
    const { commands, end } = await run(define, returnInput, {
      failures: { refundPayment: [exceeded("5")] },
    });
    expect(commands).toEqual(["refundPayment"]);
    expect(end).toMatchObject({
      status: "compensated",
      failure: { step: "refund", reason: "REFUND_EXCEEDS_CAPTURE" },
    });
  });

  test("whose refund nobody knows of is asked for under the same key, however long, and never given up", async () => {
    const failures = { refundPayment: [unknown, unknown] };
    const { sent, end } = await run(define, returnInput, { failures, outOfTime: true });
    expect(sent).toEqual([refundSent, refundSent, refundSent, restockSent]);
    expect(end?.status).toBe("completed");
  });

  test("whose pieces cannot be put into stock at once is tried again: the money is not taken back", async () => {
    const { sent, end } = await run(define, returnInput, {
      failures: { returnStock: [unknown, unknown] },
    });
    expect(sent).toEqual([refundSent, restockSent, restockSent, restockSent]);
    expect(end?.status).toBe("completed");
  });
});

test("a return whose pieces inventory refuses waits for an operator: the money is back, and stays so", async () => {
  const define = (participants: CheckoutParticipants) => returnSaga(participants, () => {});
  const { sent, end } = await run(define, returnInput, { failures: { returnStock: [exceeded("0")] } });
  expect(sent).toEqual([refundSent, restockSent]);
  expect(end).toMatchObject({ status: "parked", failure: undefined });
});

describe("a refund", () => {
  const define = (participants: CheckoutParticipants) => refundSaga(participants, () => {});

  test("pays back and touches nothing else", async () => {
    const { sent, end } = await run(define, returnInput);
    expect(sent).toEqual([refundSent]);
    expect(end?.status).toBe("completed");
  });

  test("that payments refuses ends with nothing done", async () => {
    const { end } = await run(define, returnInput, { failures: { refundPayment: [exceeded("0")] } });
    expect(end).toMatchObject({ status: "compensated", failure: { reason: "REFUND_EXCEEDS_CAPTURE" } });
  });
});

describe("cancelling a confirmed order", () => {
  const define = (participants: CheckoutParticipants) => cancelSaga(participants, () => {});
  const shipmentSent: Sent = {
    command: "cancelShipment",
    key: "saga_1:shipment",
    request: { orderId: "order_1", bookKey: "saga_0:book" },
  };
  const wholeRefundSent: Sent = {
    command: "refundPayment",
    key: "saga_1:refund",
    request: { paymentId: "payment_1", note: "order cancelled" },
  };

  test("calls the parcel back, pays back whatever is left, and puts the pieces into stock", async () => {
    const { sent, end } = await run(define, cancelInput);
    expect(sent).toEqual([shipmentSent, wholeRefundSent, restockSent]);
    expect(end?.status).toBe("completed");
  });

  test("ends with nothing touched where the parcel has left", async () => {
    const { sent, end } = await run(define, cancelInput, { failures: { cancelShipment: [dispatched] } });
    expect(sent).toEqual([shipmentSent]);
    expect(end).toMatchObject({
      status: "compensated",
      failure: { step: "shipment", reason: "SHIPMENT_ALREADY_DISPATCHED" },
    });
  });

  test("finds out what became of the parcel before anything else is touched, however long that takes", async () => {
    const failures = { cancelShipment: [unknown, dispatched] };
    const { commands, end } = await run(define, cancelInput, { failures, outOfTime: true });
    expect(commands).toEqual(["cancelShipment", "cancelShipment"]);
    expect(end?.status).toBe("compensated");
  });

  test("is content where support has paid everything back already", async () => {
    const { sent, end } = await run(define, cancelInput, { failures: { refundPayment: [exceeded("0")] } });
    expect(sent).toEqual([shipmentSent, wholeRefundSent, restockSent]);
    expect(end?.status).toBe("completed");
  });

  test("goes on until money and pieces are back, whatever is in the way", async () => {
    const failures = { refundPayment: [unknown, unknown], returnStock: [unknown] };
    const { commands, end } = await run(define, cancelInput, { failures });
    expect(commands).toEqual([
      "cancelShipment",
      "refundPayment",
      "refundPayment",
      "refundPayment",
      "returnStock",
      "returnStock",
    ]);
    expect(end?.status).toBe("completed");
  });

  test("waits for an operator where payments refuses to pay back what is left", async () => {
    const { commands, end } = await run(define, cancelInput, {
      failures: { refundPayment: [exceeded("7")] },
    });
    expect(commands).toEqual(["cancelShipment", "refundPayment"]);
    expect(end).toMatchObject({ status: "parked", failure: undefined });
  });

  test("waits for an operator where payments refuses for another reason, whatever is left", async () => {
    const otherwise = serviceError(
      PaymentsReasonSchema,
      PaymentsReason.PAYMENT_NOT_CAPTURED,
      "Never taken.",
      {
        metadata: { left_minor: "0" },
      },
    );
    const { commands, end } = await run(define, cancelInput, { failures: { refundPayment: [otherwise] } });
    expect(commands).toEqual(["cancelShipment", "refundPayment"]);
    expect(end).toMatchObject({ status: "parked", failure: undefined });
  });

  test("of which nothing is left to restock touches no stock", async () => {
    const { commands } = await run(define, { ...cancelInput, lines: [] });
    expect(commands).toEqual(["cancelShipment", "refundPayment"]);
  });
});
