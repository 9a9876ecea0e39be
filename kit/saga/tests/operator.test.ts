import { describe, expect, test } from "vitest";
import { required } from "#kit/saga/definition.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openOffice } from "./office.ts";
import { aDefinition, aSubject, createParticipants, endsOf, refused, rowOf, undo } from "./shop.ts";

const { parts, open, becomes, parked, retry, resolve } = openOffice();

describe("an operator", () => {
  const stuckAt = (name: "authorize" | "capture" | "ship") => {
    const { step, keys } = createParticipants();
    const poison = async () => ({ id: required(undefined, "id") });
    const names = ["reserve", "authorize", "capture", "ship"] as const;
    const steps = names.map((each) =>
      step(each, {
        ...(each === "capture" ? { pivot: true as const } : each !== "ship" && { undo }),
        ...(each === name && { do: poison }),
      }),
    );
    return { keys, definition: aDefinition(steps) };
  };

  test("turns a saga round before its pivot; the step it is parked at is undone too", async () => {
    const { definition, keys } = stuckAt("authorize");
    const subject = aSubject("turned");
    const { sagaId, ...operations } = await parked(definition, subject);
    await resolve(operations, sagaId, "compensate");
    await becomes(subject, "compensated");
    expect(keys.slice(-2)).toEqual([`${subject}:authorize:undo`, `${subject}:reserve:undo`]);
    expect((await rowOf(parts(), subject))?.failure).toMatchObject({
      step: "authorize",
      reason: "UNUSABLE_REPLY",
    });
    expect(await operations.show(sagaId)).toMatchObject({
      status: "compensated",
      steps: [{ done: false }, { done: false }, { done: false }, { done: false }],
    });
  });

  test.each(["capture", "ship"] as const)(
    "cannot turn it round at %s, nor change anything by trying",
    async (at) => {
      const { definition } = stuckAt(at);
      const subject = aSubject("decided");
      const { sagaId, ...operations } = await parked(definition, subject);
      const before = await rowOf(parts(), subject);
      await expect(resolve(operations, sagaId, "compensate")).rejects.toMatchObject({
        reason: "SAGA_DECIDED",
      });
      expect(await rowOf(parts(), subject)).toEqual(before);
      await resolve(operations, sagaId, "step done");
      await becomes(subject, "completed");
      expect(await endsOf(parts(), subject)).toEqual({ completed: 1n, compensated: 0n });
    },
  );

  test("who acts together with another acts once: the other finds it no longer parked", async () => {
    const { definition } = stuckAt("ship");
    const subject = aSubject("two");
    const { sagaId, ...operations } = await parked(definition, subject);
    const outcomes = await Promise.allSettled([
      resolve(operations, sagaId, "step done"),
      resolve(operations, sagaId, "step done"),
      retry(operations, sagaId),
    ]);
    const failures = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(failures.map(({ reason }) => reason.reason)).toEqual(["SAGA_NOT_PARKED", "SAGA_NOT_PARKED"]);
    expect((await endsOf(parts(), subject)).completed).toBeLessThanOrEqual(1n);
  });

  test("cannot act on a saga that is under way, has ended, or never was", async () => {
    const { step } = createParticipants();
    const gate = Promise.withResolvers<void>();
    const definition = aDefinition([step("reserve", { do: () => gate.promise.then(() => ({})) })]);
    const { engine, start } = open(definition);
    const subject = aSubject("running");
    const [sagaId = ""] = await start(definition, subject);
    await expect(retry(engine.operations, sagaId)).rejects.toMatchObject({ reason: "SAGA_NOT_PARKED" });
    gate.resolve();
    await becomes(subject, "completed");
    await expect(resolve(engine.operations, sagaId, "step done")).rejects.toMatchObject({
      reason: "SAGA_NOT_PARKED",
    });
    await expect(retry(engine.operations, "saga_x")).rejects.toMatchObject({ reason: "SAGA_NOT_FOUND" });
    await expect(engine.operations.show("saga_x")).rejects.toMatchObject({ reason: "SAGA_NOT_FOUND" });
  });

  test("lists sagas newest first, page by page, by status or subject", async () => {
    const { step } = createParticipants();
    const definition = aDefinition([
      step("reserve", {
        do: ({ input }) => (input.pieces ? Promise.resolve({}) : Promise.reject(refused())),
      }),
    ]);
    const { engine, start } = open(definition);
    const subject = aSubject("listed");
    const ids = await start(definition, subject, subject, subject);
    await eventually(async () => {
      const page = await engine.operations.list({
        beforeSagaId: "",
        status: "completed",
        subjectId: subject,
        limit: 9,
      });
      expect(page).toHaveLength(3);
    });
    const list = (beforeSagaId: string) =>
      engine.operations.list({ beforeSagaId, status: undefined, subjectId: subject, limit: 2 });
    const first = await list("");
    const second = await list(first.at(-1)?.sagaId ?? "");
    expect([...first, ...second].map(({ sagaId }) => sagaId)).toEqual(ids.toSorted().toReversed());
    const parkedOnes = { beforeSagaId: "", status: "parked", subjectId: subject, limit: 9 } as const;
    expect(await engine.operations.list(parkedOnes)).toEqual([]);
  });
});
