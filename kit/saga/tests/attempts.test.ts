import { expect, test } from "vitest";
import { openOffice } from "./office.ts";
import { aDefinition, aSubject, createParticipants, endsOf, rowOf, undo } from "./shop.ts";

const { parts, open, becomes } = openOffice();

test("an attempt that never ends is given up, and made again under the same key until its budget ends", async () => {
  const { step, keys } = createParticipants();
  const signals: AbortSignal[] = [];
  const definition = aDefinition([
    step("reserve", {
      undo,
      attemptTimeoutMs: 50,
      budgetMs: 600,
      do: (_saga, { signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    }),
  ]);
  const subject = aSubject("endless");
  await open(definition).start(definition, subject);
  await becomes(subject, "compensated");
  expect(signals.length).toBeGreaterThan(1);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  expect(new Set(keys)).toEqual(new Set([`${subject}:reserve`, `${subject}:reserve:undo`]));
  expect((await rowOf(parts(), subject))?.failure).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
});

test("a reply that comes when its attempt was given up counts for nothing", async () => {
  const { step } = createParticipants();
  const late = Promise.withResolvers<{ by: string }>();
  let attempts = 0;
  const definition = aDefinition([
    step("reserve", {
      attemptTimeoutMs: 50,
      do: () => {
        attempts += 1;
        return attempts === 1 ? late.promise : Promise.resolve({ by: `attempt ${attempts}` });
      },
    }),
    step("capture"),
  ]);
  const subject = aSubject("late");
  await open(definition).start(definition, subject);
  await becomes(subject, "completed");
  late.resolve({ by: "attempt 1" });
  await late.promise;
  expect((await rowOf(parts(), subject))?.results).toMatchObject({ reserve: { by: "attempt 2" } });
  expect(await endsOf(parts(), subject)).toEqual({ completed: 1n, compensated: 0n });
});
