import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { statement } from "#kit/postgres/postgres.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import { addTo } from "#kit/testing/fixture/counter-store.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import {
  aDefinition,
  aSubject,
  away,
  becomes,
  createParticipants,
  endsOf,
  type Input,
  openEngine,
  refused,
  rowOf,
  undo,
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

function open(...args: Parameters<typeof openEngine> extends [Parts, ...infer Rest] ? Rest : never) {
  const engine = openEngine(parts, ...args);
  engines.push(engine);
  return engine;
}

const ended = (subject: string, status: "completed" | "compensated") => becomes(parts, subject, status);

describe("a saga", () => {
  test("runs its steps in order, each under its own key, with what the earlier ones returned, and completes once", async () => {
    const { keys, step } = createParticipants();
    const seen: unknown[] = [];
    const statuses: string[] = [];
    const steps = [
      step("reserve", { do: async (saga) => ({ reservationId: `r${saga.input.pieces}` }), undo }),
      step("capture", {
        async do(saga, call) {
          seen.push(saga.results, call.timeoutMs, call.correlationId, saga.lastDone);
          return { captured: true };
        },
      }),
    ];
    const definition = aDefinition(steps, { onTransition: ({ status }) => void statuses.push(status) });
    const { start, engine } = open([definition]);
    const subject = aSubject("completes");
    const [sagaId] = await start(definition, subject);
    await ended(subject, "completed");
    expect(sagaId).toMatch(/^saga_[0-7][0-9a-z]{25}$/);
    expect(keys).toEqual([`${subject}:reserve`, `${subject}:capture`]);
    expect(seen).toEqual([{ reserve: { reservationId: "r2" } }, 10_000, "corr", "reserve"]);
    expect(await rowOf(parts, subject)).toMatchObject({
      results: { reserve: { reservationId: "r2" }, capture: { captured: true } },
      failure: null,
      lease_owner: null,
      lease_expires_at: null,
    });
    expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
    await eventually(() => expect(statuses).toEqual(["running", "completed"]));
    expect(await engine.find(definition, subject)).toMatchObject({
      sagaId,
      status: "completed",
      lastDone: "capture",
    });
    expect(await engine.find(definition, "nobody")).toBeUndefined();
  });

  test("whose transaction rolls back never begins", async () => {
    const { keys, step } = createParticipants();
    const definition = aDefinition([step("reserve")]);
    const { engine, start } = open([definition]);
    const [lost, kept] = [aSubject("lost"), aSubject("kept")];
    const attempt = parts.db.transaction(async (tx) => {
      engine.start(tx, definition, { subjectId: lost, correlationId: "corr", input: { pieces: 1 } });
      throw new Error("the work gave up");
    });
    await expect(attempt).rejects.toThrow("the work gave up");
    await start(definition, kept);
    await ended(kept, "completed");
    expect(await rowOf(parts, lost)).toBeUndefined();
    expect(keys).toEqual([`${kept}:reserve`]);
  });

  test("that is refused undoes what it did, last first, past steps with nothing to undo", async () => {
    const { keys, step } = createParticipants();
    const definition = aDefinition([
      step("reserve", { undo }),
      step("notify"),
      step("authorize", { undo }),
      step("capture", { pivot: true, do: () => Promise.reject(refused()) }),
      step("ship", { undo }),
    ]);
    const subject = aSubject("refused");
    await open([definition]).start(definition, subject);
    await ended(subject, "compensated");
    expect(keys.map((key) => key.replace(subject, ""))).toEqual([
      ":reserve",
      ":notify",
      ":authorize",
      ":capture",
      ":authorize:undo",
      ":reserve:undo",
    ]);
    expect((await rowOf(parts, subject))?.failure).toEqual({
      step: "capture",
      reason: "OUT_OF_STOCK",
      message: "Nothing left.",
    });
    expect(await endsOf(parts, subject)).toEqual({ completed: 0n, compensated: 1n });
  });

  test("that is refused at its first step has nothing to undo", async () => {
    const { keys, step } = createParticipants();
    const definition = aDefinition([step("reserve", { undo, do: () => Promise.reject(refused()) })]);
    const subject = aSubject("at-once");
    await open([definition]).start(definition, subject);
    await ended(subject, "compensated");
    expect(keys).toEqual([`${subject}:reserve`]);
    expect(await endsOf(parts, subject)).toEqual({ completed: 0n, compensated: 1n });
  });

  test("whose step stays unknown until its budget ends undoes that step too", async () => {
    const { keys, step } = createParticipants();
    const definition = aDefinition([
      step("reserve", { undo }),
      step("authorize", { undo, budgetMs: 250, do: () => Promise.reject(away()) }),
    ]);
    const subject = aSubject("unknown");
    await open([definition]).start(definition, subject);
    await ended(subject, "compensated");
    const authorized = keys.filter((key) => key === `${subject}:authorize`);
    expect(authorized.length).toBeGreaterThan(1);
    expect(keys.slice(-2)).toEqual([`${subject}:authorize:undo`, `${subject}:reserve:undo`]);
    expect((await rowOf(parts, subject))?.failure).toMatchObject({
      step: "authorize",
      reason: "DEPENDENCY_UNAVAILABLE",
    });
  });

  test("repeats its deciding step while that is unknown, and later steps too, budgets or not", async () => {
    const { keys, step } = createParticipants();
    const failing = (times: number, error: () => Error) => {
      let attempts = 0;
      return async () => {
        attempts += 1;
        if (attempts <= times) throw error();
        return { attempts };
      };
    };
    const definition = aDefinition([
      step("reserve", { undo }),
      step("capture", { pivot: true, budgetMs: 1, do: failing(3, away) }),
      step("ship", { budgetMs: 1, undo, do: failing(2, away) }),
    ]);
    const subject = aSubject("decided");
    await open([definition]).start(definition, subject);
    await ended(subject, "completed");
    expect((await rowOf(parts, subject))?.results).toMatchObject({
      capture: { attempts: 4 },
      ship: { attempts: 3 },
    });
    expect(keys.filter((key) => key.endsWith("undo"))).toEqual([]);
  });

  test("goes on undoing until it has succeeded", async () => {
    const { keys, step } = createParticipants();
    let failures = 3;
    const definition = aDefinition([
      step("reserve", {
        async undo() {
          failures -= 1;
          if (failures >= 0) throw away();
        },
      }),
      step("authorize", { do: () => Promise.reject(refused()) }),
    ]);
    const subject = aSubject("stubborn");
    await open([definition]).start(definition, subject);
    await ended(subject, "compensated");
    expect(keys.filter((key) => key === `${subject}:reserve:undo`)).toHaveLength(4);
  });
});

describe("many sagas at once", () => {
  const note = statement("test-note", `insert into notes (text) values ($1)`);
  const subjectsOf = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}-${n}`);
  const completedOf = async (name: string) =>
    (
      await parts.asOwner(
        `select count(*)::int as n from kit.sagas where subject_id like '${name}-%' and status = 'completed'`,
      )
    )[0]?.n;

  test("are recorded together: 200 of them in far fewer transactions than transitions", async () => {
    const { step } = createParticipants();
    const definition = aDefinition([step("reserve"), step("capture")], {
      onCompleted: async (tx, { subjectId }) => void (await tx.query(note, [subjectId])),
    });
    await open([definition]).start(definition, ...subjectsOf("many", 200));
    await eventually(async () => expect(await completedOf("many")).toBe(200));
    const [written] = await parts.asOwner(
      `select count(*)::int as hooks, count(distinct xid)::int as transactions from notes where text like 'many-%'`,
    );
    expect(written?.hooks).toBe(200);
    expect(written?.transactions).toBeLessThanOrEqual(20);
  });

  test("are not held up by one whose hook fails, which is tried again", async () => {
    const { step } = createParticipants();
    let broken = true;
    const definition = aDefinition([step("reserve")], {
      async onCompleted(tx, { subjectId }) {
        await addTo(tx, `${subjectId} completed`, 1);
        if (subjectId === "batch-7" && broken) throw new Error("this hook is broken");
      },
    });
    await open([definition]).start(definition, ...subjectsOf("batch", 40));
    await eventually(async () => expect(await completedOf("batch")).toBe(39));
    expect(await rowOf(parts, "batch-7")).toMatchObject({ status: "running" });
    expect((await endsOf(parts, "batch-7")).completed).toBe(0n);
    broken = false;
    await ended("batch-7", "completed");
    expect((await endsOf(parts, "batch-7")).completed).toBe(1n);
    expect((await endsOf(parts, "batch-8")).completed).toBe(1n);
  });

  test("more than a replica drives side by side wait in their table, and all end", async () => {
    const { step } = createParticipants();
    const gate = Promise.withResolvers<void>();
    let [driven, most] = [0, 0];
    const definition: SagaDefinition<Input> = aDefinition([
      step("reserve", {
        async do() {
          driven += 1;
          most = Math.max(most, driven);
          await gate.promise;
          driven -= 1;
          return {};
        },
      }),
    ]);
    await open([definition]).start(definition, ...subjectsOf("crowd", 600));
    await eventually(() => expect(driven).toBe(512));
    gate.resolve();
    await eventually(async () => expect(await completedOf("crowd")).toBe(600));
    expect(most).toBe(512);
  });
});

test("how many sagas are under way is measured", async () => {
  const own = await openParts();
  const { step } = createParticipants();
  const gate = Promise.withResolvers<void>();
  const definition = aDefinition([step("reserve", { do: () => gate.promise.then(() => ({})) })]);
  await openEngine(own, [definition], { runs: false }).start(definition, "a", "b", "c");
  const measuring = openEngine(own, [definition]);
  const gauge = async () =>
    /^sagas_in_flight\{saga="checkout"\} (\d+)$/m.exec(await own.metrics.registry.metrics())?.[1];
  await eventually(async () => expect(await gauge()).toBe("3"));
  gate.resolve();
  await eventually(async () => expect(await gauge()).toBe("0"));
  await measuring.stop();
  await own.close();
});
