import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as StockReason,
  ErrorReasonSchema as StockReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import {
  cancelCommand,
  type Outcome,
  type RememberedCommand,
  recall,
  runRemembered,
  type Work,
} from "#kit/idempotency/idempotency.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { deadlineIn } from "#kit/time/time.ts";

let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

const hashOf = (request: string) => createHash("sha256").update(request).digest();

function aCommand(change: Partial<RememberedCommand> = {}): RememberedCommand {
  return {
    principal: "user_a",
    method: InventoryService.method.adjustStock,
    key: newId("key"),
    fingerprint: hashOf("request"),
    deadline: deadlineIn(2_000),
    ...change,
  };
}

/** Work that counts its effects under the command's key and answers with their number. */
function countingWork(
  key: string,
  change: (tx: Transaction) => Promise<Outcome | undefined> = async () => undefined,
) {
  const calls = { prepared: 0, applied: 0 };
  const work: Work<number> = {
    groupCommit: false,
    prepare: async () => (calls.prepared += 1),
    async apply(tx, _prepared) {
      calls.applied += 1;
      const value = await addTo(tx, key, 1);
      return (await change(tx)) ?? { response: Buffer.from(`answer ${value}`) };
    },
  };
  return { calls, work };
}

const run = (command: RememberedCommand, work: Work<number>) => runRemembered(parts.db, command, work);
const effectsOf = ({ key }: RememberedCommand) => readCounter(parts.db, key);

const outOfStock = (pieces: number) =>
  serviceError(StockReasonSchema, StockReason.OUT_OF_STOCK, `Only ${pieces} left.`, {
    metadata: { available: String(pieces) },
  });

describe("a repeated command", () => {
  test("whose answer cannot be read just now may be repeated again: that there is one is no fault", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    await run(command, work);
    const away = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "The database is away.");
    const db = { ...parts.db, query: () => Promise.reject(away) };
    await expect(runRemembered(db, command, work)).rejects.toBe(away);
  });

  test("gets its first answer and has no second effect", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    expect(await run(command, work)).toEqual({ response: Buffer.from("answer 1"), replayed: false });
    expect(await run(command, work)).toEqual({ response: Buffer.from("answer 1"), replayed: true });
    expect(await effectsOf(command)).toBe(1n);
  });

  test("with another request is refused as a reused key", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    await run(command, work);
    const other = { ...command, fingerprint: hashOf("another request") };
    await expect(run(other, work)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    await expect(recall(parts.db, other)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    expect(await effectsOf(command)).toBe(1n);
  });

  test("under the same key of another caller, or to another method, is another command", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    await run(command, work);
    await run({ ...command, principal: "user_b" }, work);
    await run({ ...command, method: InventoryService.method.reserveStock }, work);
    expect(await effectsOf(command)).toBe(3n);
  });

  test.each([false, true])(
    "20 times at once has one effect and one answer, group commit %s",
    async (groupCommit) => {
      const command = aCommand();
      const work = { ...countingWork(command.key).work, groupCommit };
      const others = Array.from({ length: 5 }, () => aCommand());
      const [answers] = await Promise.all([
        Promise.all(Array.from({ length: 20 }, () => run(command, work))),
        ...others.map((other) => run(other, { ...countingWork(other.key).work, groupCommit })),
      ]);
      expect(new Set(answers.map(({ response }) => Buffer.from(response).toString())).size).toBe(1);
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
      expect(await Promise.all([command, ...others].map(effectsOf))).toEqual([1n, 1n, 1n, 1n, 1n, 1n]);
    },
  );

  test("costs those nothing that share a transaction with it", async () => {
    const command = aCommand();
    const again = { ...countingWork(command.key).work, groupCommit: true };
    await run(command, again);
    const others = Array.from({ length: 5 }, () => aCommand());
    const counted = others.map((other) => countingWork(other.key));
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 3 }, () => run(command, again))),
      ...others.map((other, n) => run(other, { ...again, ...counted[n]?.work, groupCommit: true })),
    ]);
    expect(answers.map(({ replayed }) => replayed)).toEqual([true, true, true]);
    expect(counted.map(({ calls }) => calls.applied)).toEqual([1, 1, 1, 1, 1]);
  });

  test("that comes while the first is being decided waits for its answer, and is not tried itself", async () => {
    const command = aCommand();
    const [applying, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const counted = countingWork(command.key, async () => {
      applying.resolve();
      await mayEnd.promise;
      return undefined;
    });
    const work = { ...counted.work, groupCommit: true };
    const first = run(command, work);
    await applying.promise;
    const repeat = run(command, work);
    mayEnd.resolve();
    expect(await first).toMatchObject({ replayed: false });
    expect(await repeat).toMatchObject({ replayed: true });
    expect(counted.calls.applied).toBe(1);
  });

  test("refused by its intent is refused again, though the intent would succeed by now", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    const refusing: Work<number> = { ...work, intend: () => Promise.reject(outOfStock(2)) };
    await expect(run(command, refusing)).rejects.toMatchObject({ reason: "OUT_OF_STOCK" });
    await expect(run(command, { ...work, intend: async () => undefined })).rejects.toMatchObject({
      reason: "OUT_OF_STOCK",
    });
    expect(await effectsOf(command)).toBe(0n);
  });

  test("that fails in its own way meets its first answer, not its own failure", async () => {
    const command = aCommand();
    await run(command, countingWork(command.key).work);
    const failing = countingWork(command.key, () => Promise.reject(outOfStock(0)));
    expect(await run(command, failing.work)).toMatchObject({ replayed: true });
    const unprepared: Work<number> = { ...failing.work, prepare: () => Promise.reject(new Error("a bug")) };
    expect(await run(command, unprepared)).toMatchObject({ replayed: true });
    const away = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "The callee is away.");
    const calleeAway: Work<number> = { ...failing.work, prepare: () => Promise.reject(away) };
    expect(await run(command, calleeAway)).toMatchObject({ replayed: true });
    await expect(run(aCommand(), calleeAway)).rejects.toBe(away);
  });

  test("whose deadline ends before the first call's is told that the key is in use", async () => {
    const command = aCommand();
    const [holds, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    // The key's row is written with COMMIT, which no test can hold up; a transaction that has written it and stays open can.
    const first = parts.db.transaction(async (tx) => {
      await cancelCommand(tx, command);
      holds.resolve();
      await mayEnd.promise;
    });
    await holds.promise;
    const startedAtMs = performance.now();
    const { work } = countingWork(command.key);
    await expect(run({ ...command, deadline: deadlineIn(400) }, work)).rejects.toMatchObject({
      reason: "IDEMPOTENCY_KEY_IN_USE",
      retryAfterMs: 1_000,
    });
    expect(performance.now() - startedAtMs).toBeLessThan(400);
    mayEnd.resolve();
    await first;
    expect(await effectsOf(command)).toBe(0n);
  });
});

describe("a refusal", () => {
  test("that is terminal is remembered with all it says, and its effects are undone", async () => {
    const command = aCommand();
    const { work, calls } = countingWork(command.key, () => Promise.reject(outOfStock(3)));
    const refused = { reason: "OUT_OF_STOCK", message: "Only 3 left.", metadata: { available: "3" } };
    await expect(run(command, work)).rejects.toMatchObject(refused);
    const plenty = countingWork(command.key);
    await expect(run(command, plenty.work)).rejects.toMatchObject({
      ...refused,
      domain: "inventory.souk",
      code: 9,
    });
    expect(calls.applied).toBe(1);
    expect(await effectsOf(command)).toBe(0n);
  });

  test("by the half that calls out is remembered too", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    await expect(
      run(command, { ...work, prepare: () => Promise.reject(outOfStock(1)) }),
    ).rejects.toBeDefined();
    await expect(run(command, work)).rejects.toMatchObject({ reason: "OUT_OF_STOCK" });
  });

  test.each([
    ["a dependency's absence", serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.")],
    ["a deadline", serviceError(ErrorReasonSchema, ErrorReason.DEADLINE_EXCEEDED, "Too late.")],
    ["a rate limit", serviceError(ErrorReasonSchema, ErrorReason.RATE_LIMITED, "Too often.")],
    ["a wait for a key in use", serviceError(ErrorReasonSchema, ErrorReason.IDEMPOTENCY_KEY_IN_USE, "Busy.")],
    ["a fault of the code", new Error("a bug")],
  ])("is not remembered when it is %s", async (_what, error) => {
    const command = aCommand();
    const failing = countingWork(command.key, () => Promise.reject(error));
    await expect(run(command, failing.work)).rejects.toBe(error);
    expect(await run(command, countingWork(command.key).work)).toMatchObject({ replayed: false });
    expect(await effectsOf(command)).toBe(1n);
  });

  test("that is returned keeps what was written, and is remembered with it", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key, async () => ({ refusal: outOfStock(2) }));
    await expect(run(command, work)).rejects.toMatchObject({ reason: "OUT_OF_STOCK" });
    await expect(run(command, work)).rejects.toMatchObject({
      reason: "OUT_OF_STOCK",
      metadata: { available: "2" },
    });
    expect(await effectsOf(command)).toBe(1n);
  });

  test("20 times at once is one refusal", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key, () => Promise.reject(outOfStock(5)));
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => run(command, work)));
    const reasons = outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.reason);
    expect(new Set(reasons)).toEqual(new Set(["OUT_OF_STOCK"]));
  });
});

describe("cancelling a command", () => {
  const cancel = (command: RememberedCommand) => parts.db.transaction((tx) => cancelCommand(tx, command));

  test("before it arrives refuses it for good, whatever its request", async () => {
    const command = aCommand();
    expect(await cancel(command)).toBe(true);
    expect(await cancel(command)).toBe(true);
    const { work } = countingWork(command.key);
    const cancelled = { reason: "COMMAND_CANCELLED", metadata: { key: command.key } };
    await expect(run(command, work)).rejects.toMatchObject(cancelled);
    await expect(run({ ...command, fingerprint: hashOf("other") }, work)).rejects.toMatchObject(cancelled);
    expect(await effectsOf(command)).toBe(0n);
  });

  test("that has its answer says so, and leaves the answer", async () => {
    const command = aCommand();
    const { work } = countingWork(command.key);
    await run(command, work);
    expect(await cancel(command)).toBe(false);
    expect(await run(command, work)).toMatchObject({ replayed: true });
    const refused = aCommand();
    await run(refused, countingWork(refused.key, () => Promise.reject(outOfStock(0))).work).catch(() => {});
    expect(await cancel(refused)).toBe(false);
  });

  test("while it runs leaves exactly one of them in force", async () => {
    const commands = Array.from({ length: 30 }, () => aCommand());
    await Promise.all(
      commands.map(async (command) => {
        const { work } = countingWork(command.key);
        const [ran, cancelled] = await Promise.allSettled([run(command, work), cancel(command)]);
        const effects = await effectsOf(command);
        expect(cancelled).toEqual({ status: "fulfilled", value: effects === 0n });
        expect(ran.status).toBe(effects === 0n ? "rejected" : "fulfilled");
      }),
    );
  });

  test("in a transaction that rolls back cancels nothing", async () => {
    const command = aCommand();
    const attempt = parts.db.transaction(async (tx) => {
      await cancelCommand(tx, command);
      throw new Error("the work gave up");
    });
    await expect(attempt).rejects.toThrow("the work gave up");
    expect(await run(command, countingWork(command.key).work)).toMatchObject({ replayed: false });
  });
});

test("a command that never ran has no answer to recall", async () => {
  expect(await recall(parts.db, aCommand())).toBeUndefined();
});
