import { describe, expect, test } from "vitest";
import { alreadyCaptured, checkOut, reservationEnded, undoing, unknown } from "./tests/checkout-course.ts";

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
