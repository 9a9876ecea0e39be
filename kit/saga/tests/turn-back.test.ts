import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import type { SagaDefinition } from "../definition.ts";
import {
  aDefinition,
  aSubject,
  away,
  createParticipants,
  endsOf,
  type Input,
  openEngine,
  rowOf,
} from "./shop.ts";

let parts: Parts;
let engines: ReturnType<typeof openEngine>[] = [];

beforeAll(async () => {
  parts = await openParts();
});
afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  engines = [];
});
afterAll(() => parts.close());

function open(definition: SagaDefinition<Input>) {
  const engine = openEngine(parts, [definition]);
  engines.push(engine);
  return engine;
}

const why = { reason: "CUSTOMER_CANCELLED", message: "Nobody wants it any more." };
const undo = async () => {};

/** A step that ends when it is told to, and whether it was begun. */
function aGate() {
  const opened = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const pass = async () => {
    begun.resolve();
    await opened.promise;
    return {};
  };
  return { pass, begun: begun.promise, open: () => opened.resolve() };
}

const turn = (engine: ReturnType<typeof openEngine>, definition: SagaDefinition<Input>, subject: string) =>
  parts.db.transaction((tx) => engine.engine.turnBack(tx, definition as SagaDefinition<never>, subject, why));

const ended = (subject: string, status: "completed" | "compensated") =>
  eventually(async () => expect(await rowOf(parts, subject)).toMatchObject({ status }));

test("a saga that is turned before its pivot undoes the step under way and those before it, with the reason", async () => {
  const { keys, step } = createParticipants();
  const gate = aGate();
  const definition = aDefinition([
    step("reserve", { undo }),
    step("authorize", { do: gate.pass, undo }),
    step("capture", { pivot: true }),
  ]);
  const engine = open(definition);
  const subject = aSubject("turned");
  await engine.start(definition, subject);
  await gate.begun;
  expect(await turn(engine, definition, subject)).toBe(true);
  gate.open();
  await ended(subject, "compensated");
  expect(keys.map((key) => key.replace(`${subject}:`, ""))).toEqual([
    "reserve",
    "authorize",
    "authorize:undo",
    "reserve:undo",
  ]);
  expect(await rowOf(parts, subject)).toMatchObject({ failure: { step: "authorize", ...why } });
  expect(await endsOf(parts, subject)).toEqual({ completed: 0n, compensated: 1n });
});

test("a saga at its pivot is not turned: it may be decided already", async () => {
  const { keys, step } = createParticipants();
  const gate = aGate();
  const definition = aDefinition([
    step("reserve", { undo }),
    step("capture", { do: gate.pass, pivot: true }),
  ]);
  const engine = open(definition);
  const subject = aSubject("decided");
  await engine.start(definition, subject);
  await gate.begun;
  expect(await turn(engine, definition, subject)).toBe(false);
  gate.open();
  await ended(subject, "completed");
  expect(await turn(engine, definition, subject)).toBe(false);
  expect(keys).toEqual([`${subject}:reserve`, `${subject}:capture`]);
  expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
});

test("a turn whose transaction rolls back changes nothing", async () => {
  const { step } = createParticipants();
  const gate = aGate();
  const definition = aDefinition([
    step("reserve", { do: gate.pass, undo }),
    step("capture", { pivot: true }),
  ]);
  const engine = open(definition);
  const subject = aSubject("kept");
  await engine.start(definition, subject);
  await gate.begun;
  const failing = parts.db.transaction(async (tx) => {
    await engine.engine.turnBack(tx, definition as SagaDefinition<never>, subject, why);
    throw new Error("changed my mind");
  });
  await expect(failing).rejects.toThrow("changed my mind");
  gate.open();
  await ended(subject, "completed");
});

test("a saga of a version that is not served is left to those who know its pivot", async () => {
  const { step } = createParticipants();
  const gate = aGate();
  const definition = aDefinition([
    step("reserve", { do: gate.pass, undo }),
    step("capture", { pivot: true }),
  ]);
  const engine = open(definition);
  const subject = aSubject("older");
  await engine.start(definition, subject);
  await gate.begun;
  expect(await turn(engine, { ...definition, version: 2 }, subject)).toBe(false);
  gate.open();
  await ended(subject, "completed");
});

test("a saga of an earlier version is turned by that version's pivot and steps, wherever the new build puts its own", async () => {
  const { keys, step } = createParticipants();
  const gates = [aGate(), aGate()];
  const oldSteps = (gate: ReturnType<typeof aGate>) => [
    step("reserve", { undo }),
    step("charge", { do: gate.pass, pivot: true }),
    step("notify"),
  ];
  const renewed = (gate: ReturnType<typeof aGate>) =>
    aDefinition([step("capture", { pivot: true })], {
      version: 2,
      earlier: [{ version: 1, steps: oldSteps(gate) }],
    });
  const [before, at] = [aSubject("before-old-pivot"), aSubject("at-old-pivot")];
  const [early, late] = gates as [ReturnType<typeof aGate>, ReturnType<typeof aGate>];
  const stuck = aDefinition([
    step("reserve", { do: early.pass, undo }),
    step("charge", { pivot: true }),
    step("notify"),
  ]);
  const engine = open(stuck);
  await engine.start(stuck, before);
  await early.begun;
  // The new build's own pivot is its first step, which this saga has reached by number.
  expect(await turn(engine, renewed(early), before)).toBe(true);
  early.open();
  await ended(before, "compensated");
  expect(await rowOf(parts, before)).toMatchObject({ failure: { step: "reserve", ...why } });
  expect(keys).toEqual([`${before}:reserve`, `${before}:reserve:undo`]);
  await engine.stop();

  const deciding = aDefinition(oldSteps(late));
  const other = open(deciding);
  await other.start(deciding, at);
  await late.begun;
  expect(await turn(other, renewed(late), at)).toBe(false);
  late.open();
  await ended(at, "completed");
});

test("turned while it is waiting to try again, a saga does not try again", async () => {
  const { keys, step } = createParticipants();
  const definition = aDefinition([
    step("reserve", {
      undo,
      // It would go on trying for longer than this test takes.
      budgetMs: 60_000,
      do: async () => {
        throw away();
      },
    }),
    step("capture", { pivot: true }),
  ]);
  const engine = open(definition);
  const subject = aSubject("waiting");
  await engine.start(definition, subject);
  await eventually(async () => expect((await rowOf(parts, subject))?.attempt).toBeGreaterThan(1));
  expect(await turn(engine, definition, subject)).toBe(true);
  await ended(subject, "compensated");
  expect(keys.at(-1)).toBe(`${subject}:reserve:undo`);
});

test("whoever comes first at the pivot decides, and only they, however often both try", async () => {
  const { step } = createParticipants();
  const definition = aDefinition([
    step("reserve", { undo }),
    step("authorize", { undo }),
    step("capture", { pivot: true }),
  ]);
  const engine = open(definition);
  const subjects = Array.from({ length: 40 }, (_, index) => aSubject(`race${index}`));
  const turned = await Promise.all(
    subjects.map(async (subject, index) => {
      await engine.start(definition, subject);
      for (let pause = 0; pause < index % 8; pause += 1) await new Promise(setImmediate);
      return await turn(engine, definition, subject);
    }),
  );
  for (const [index, subject] of subjects.entries()) {
    await ended(subject, turned[index] ? "compensated" : "completed");
    const [completed, compensated] = turned[index] ? [0n, 1n] : [1n, 0n];
    expect(await endsOf(parts, subject)).toEqual({ completed, compensated });
  }
});
