import { describe, expect, test } from "vitest";
import { required } from "#kit/saga/definition.ts";
import type { SagaRecord } from "#kit/saga/operations.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openOffice } from "./office.ts";
import {
  aDefinition,
  aSubject,
  away,
  createParticipants,
  createStubborn,
  endsOf,
  refused,
  rowOf,
  undo,
} from "./shop.ts";

const { parts, lines, open, becomes, parked, retry, resolve } = openOffice();

const gauge = async (name: string) =>
  new RegExp(`^${name}\\{saga="checkout"\\} (\\d+)$`, "m").exec(
    await parts().metrics.registry.metrics(),
  )?.[1];

describe("a saga is parked, and nothing drives it,", () => {
  test("when it is refused behind its pivot; retried, it goes on where it stopped", async () => {
    const { step, keys } = createParticipants();
    const ship = createStubborn();
    const definition = aDefinition([
      step("reserve", { undo }),
      step("capture", { pivot: true }),
      step("ship", { do: ship.do }),
    ]);
    const subject = aSubject("behind");
    const { sagaId, ...operations } = await parked(definition, subject);
    expect(await rowOf(parts(), subject)).toMatchObject({
      lease_owner: null,
      lease_expires_at: null,
      failure: null,
    });
    expect(await operations.show(sagaId)).toMatchObject({
      sagaId,
      subjectId: subject,
      definition: "checkout",
      definitionVersion: 1,
      status: "parked",
      step: "ship",
      reason: "OUT_OF_STOCK",
      message: "Nothing left.",
      correlationId: "corr",
      steps: [
        { name: "reserve", done: true, resultJson: '{"done":"reserve"}', pivot: false },
        { name: "capture", done: true, resultJson: '{"done":"capture"}', pivot: true },
        { name: "ship", done: false, resultJson: "", pivot: false },
      ],
    } satisfies Partial<SagaRecord>);
    expect(lines().filter((line) => line.includes("a saga is parked") && line.includes(sagaId))).toHaveLength(
      1,
    );
    await eventually(async () => expect(await gauge("sagas_parked")).toBe("1"), 8_000);
    ship.relent();
    expect(await retry(operations, sagaId)).toMatchObject({ status: "running", step: "ship", reason: "" });
    await becomes(subject, "completed");
    expect(keys.map((key) => key.replace(subject, ""))).toEqual([":reserve", ":capture", ":ship", ":ship"]);
    expect(await endsOf(parts(), subject)).toEqual({ completed: 1n, compensated: 0n });
  });

  test("when an undo is refused: it is kept, not dropped, and undone once that can be", async () => {
    const { step, keys } = createParticipants();
    const reserve = createStubborn();
    const definition = aDefinition([
      step("reserve", { undo: reserve.undo }),
      step("authorize", { do: () => Promise.reject(refused()) }),
    ]);
    const subject = aSubject("undo");
    const { sagaId, ...operations } = await parked(definition, subject);
    expect(await operations.show(sagaId)).toMatchObject({ step: "reserve", reason: "OUT_OF_STOCK" });
    reserve.relent();
    await retry(operations, sagaId);
    await becomes(subject, "compensated");
    expect(keys.slice(-2)).toEqual([`${subject}:reserve:undo`, `${subject}:reserve:undo`]);
    expect(await endsOf(parts(), subject)).toEqual({ completed: 0n, compensated: 1n });
  });

  test("when an undo has failed for longer than its budget", async () => {
    const { step, keys } = createParticipants();
    const definition = aDefinition([
      step("reserve", { undo: () => Promise.reject(away()), undoBudgetMs: 400 }),
      step("authorize", { do: () => Promise.reject(refused()) }),
    ]);
    const subject = aSubject("budget");
    const { sagaId, ...operations } = await parked(definition, subject);
    expect(keys.filter((key) => key.endsWith(":undo")).length).toBeGreaterThan(1);
    expect(await resolve(operations, sagaId, "step done")).toMatchObject({ status: "compensated" });
    expect(await endsOf(parts(), subject)).toEqual({ completed: 0n, compensated: 1n });
  });

  test.each([
    ["names nothing", async () => ({ paymentId: required(undefined, "payment") })],
    ["is no JSON", async () => ({ amount: 1n })],
    ["holds what no row can", async () => ({ name: "a\0b" })],
    ["is far too large", async () => ({ blob: "x".repeat(20_000) })],
  ])("when a reply %s: poison stops this saga, and no other", async (_what, poison) => {
    const { step } = createParticipants();
    const definition = aDefinition([
      step("reserve", { undo }),
      step("authorize", {
        undo,
        do: (saga) => (saga.subjectId.startsWith("poison") ? poison() : Promise.resolve({})),
      }),
    ]);
    const [subject, neighbour] = [aSubject("poison"), aSubject("neighbour")];
    const { start, engine } = open(definition);
    const [sagaId = ""] = await start(definition, subject, neighbour);
    await becomes(neighbour, "completed");
    await becomes(subject, "parked");
    expect(await engine.operations.show(sagaId)).toMatchObject({
      step: "authorize",
      reason: "UNUSABLE_REPLY",
    });
  });

  test("when its own service refuses to record its end, which then is as if it had not been", async () => {
    const { step } = createParticipants();
    const end = createStubborn();
    const counting = aDefinition([step("reserve"), step("capture", { pivot: true })]);
    const definition = {
      ...counting,
      async onCompleted(...args: Parameters<typeof counting.onCompleted>) {
        await counting.onCompleted(...args);
        await end.do();
      },
    };
    const subject = aSubject("hook");
    const { sagaId, ...operations } = await parked(definition, subject);
    expect((await endsOf(parts(), subject)).completed).toBe(0n);
    expect(await operations.show(sagaId)).toMatchObject({ step: "capture", reason: "OUT_OF_STOCK" });
    end.relent();
    await retry(operations, sagaId);
    await becomes(subject, "completed");
    expect((await endsOf(parts(), subject)).completed).toBe(1n);
  });
});
