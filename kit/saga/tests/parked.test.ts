import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { required, type SagaDefinition } from "#kit/saga/definition.ts";
import type { SagaRecord } from "#kit/saga/operations.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import {
  aDefinition,
  aSubject,
  away,
  createParticipants,
  endsOf,
  type Input,
  openEngine,
  refused,
  rowOf,
} from "./shop.ts";

let parts: Parts;
let opened: ReturnType<typeof openEngine>[];
let lines: string[];

beforeAll(async () => {
  parts = await openParts();
});
beforeEach(() => {
  opened = [];
  lines = [];
});
afterEach(async () => {
  await Promise.all(opened.map((engine) => engine.stop()));
});
afterAll(() => parts.close());

const undo = async () => {};

function open(definition: SagaDefinition<Input>) {
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", level: "warn", destination });
  const engine = openEngine({ ...parts, log }, [definition]);
  opened.push(engine);
  return engine;
}

const becomes = (subject: string, status: string) =>
  eventually(async () => expect(await rowOf(parts, subject)).toMatchObject({ status }));

/** Drives a saga about this subject until it is parked; returns its id and the engine. */
async function parked(definition: SagaDefinition<Input>, subject: string) {
  const engine = open(definition);
  const [sagaId = ""] = await engine.start(definition, subject);
  await becomes(subject, "parked");
  return { sagaId, ...engine.engine.operations };
}

const retry = (operations: { retry: Awaited<ReturnType<typeof parked>>["retry"] }, sagaId: string) =>
  parts.db.transaction((tx) => operations.retry(tx, sagaId));
const resolve = (
  operations: Pick<Awaited<ReturnType<typeof parked>>, "resolve">,
  sagaId: string,
  resolution: "step done" | "compensate",
) => parts.db.transaction((tx) => operations.resolve(tx, sagaId, resolution));

const gauge = async (name: string) =>
  new RegExp(`^${name}\\{saga="checkout"\\} (\\d+)$`, "m").exec(await parts.metrics.registry.metrics())?.[1];

/** A step whose participant refuses until it is told otherwise. */
function createStubborn(error: () => Error = refused) {
  let failing = true;
  return {
    relent: () => {
      failing = false;
    },
    async do() {
      if (failing) throw error();
      return { done: "at last" };
    },
    async undo() {
      if (failing) throw error();
    },
  };
}

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
    expect(await rowOf(parts, subject)).toMatchObject({
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
    expect(lines.filter((line) => line.includes("a saga is parked") && line.includes(sagaId))).toHaveLength(
      1,
    );
    await eventually(async () => expect(await gauge("sagas_parked")).toBe("1"), 8_000);
    ship.relent();
    expect(await retry(operations, sagaId)).toMatchObject({ status: "running", step: "ship", reason: "" });
    await becomes(subject, "completed");
    expect(keys.map((key) => key.replace(subject, ""))).toEqual([":reserve", ":capture", ":ship", ":ship"]);
    expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
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
    expect(await endsOf(parts, subject)).toEqual({ completed: 0n, compensated: 1n });
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
    expect(await endsOf(parts, subject)).toEqual({ completed: 0n, compensated: 1n });
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
    expect((await endsOf(parts, subject)).completed).toBe(0n);
    expect(await operations.show(sagaId)).toMatchObject({ step: "capture", reason: "OUT_OF_STOCK" });
    end.relent();
    await retry(operations, sagaId);
    await becomes(subject, "completed");
    expect((await endsOf(parts, subject)).completed).toBe(1n);
  });

  test("and an attempt that never ends is given up, under the same key again, until its budget ends", async () => {
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
    expect((await rowOf(parts, subject))?.failure).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });
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
  expect((await rowOf(parts, subject))?.results).toMatchObject({ reserve: { by: "attempt 2" } });
  expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
});

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
    expect((await rowOf(parts, subject))?.failure).toMatchObject({
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
      const before = await rowOf(parts, subject);
      await expect(resolve(operations, sagaId, "compensate")).rejects.toMatchObject({
        reason: "SAGA_DECIDED",
      });
      expect(await rowOf(parts, subject)).toEqual(before);
      await resolve(operations, sagaId, "step done");
      await becomes(subject, "completed");
      expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
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
    expect((await endsOf(parts, subject)).completed).toBeLessThanOrEqual(1n);
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
