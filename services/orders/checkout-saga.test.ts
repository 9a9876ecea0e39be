import { describe, expect, test } from "vitest";
import {
  amountMinor,
  checkOut,
  commandOf,
  earlier,
  input,
  refused,
  type Sent,
  type StepName,
  stepNames,
  timed,
  undoing,
  unknown,
} from "./tests/checkout-course.ts";

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

describe("a checkout that is turned back", () => {
  test.each<[StepName, readonly Sent[]]>([
    ["reserve", [undoing.release]],
    ["authorize", [undoing.void, undoing.release]],
    ["book", [undoing.cancel, undoing.void, undoing.release]],
  ])("at %s has that step undone too: nobody knows what came of it", async (at, undone) => {
    const { sent, end } = await checkOut({ at, turnedBack: true });
    expect(sent).toEqual(undone);
    expect(end).toMatchObject({ status: "compensated", failure: { step: at, reason: "CUSTOMER_CANCELLED" } });
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
