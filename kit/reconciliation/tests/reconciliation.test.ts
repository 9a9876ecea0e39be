import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { idPages, type Reconciliation, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import { createReconciler, type Reconciler } from "#kit/reconciliation/reconciliation.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { deadlineIn } from "#kit/time/time.ts";

let parts: Parts;
let shelf: Shelf;

beforeEach(async () => {
  parts = await openParts();
  shelf = openShelf();
});
afterEach(() => parts.close());

/** Two lists of the same goods, which may disagree; `busy` ones are not at rest. */
interface Shelf extends Reconciliation {
  readonly left: Map<string, number>;
  readonly right: Map<string, number>;
  readonly busy: Set<string>;
  readonly scopes: Scope[];
  /** Called before each judgement. */
  onJudge: (ids: readonly string[]) => Promise<void> | void;
}

function openShelf(everyMs = 60_000): Shelf {
  const shelf: Shelf = {
    name: "left-with-right",
    everyMs,
    left: new Map(),
    right: new Map(),
    busy: new Set(),
    scopes: [],
    onJudge: () => {},
    subjects(scope) {
      shelf.scopes.push(scope);
      const ids = [...shelf.left.keys()].sort();
      const isIncluded = (id: string) => scope.since === undefined || id.startsWith("new");
      return idPages("", async (after, limit) =>
        ids.filter((id) => id > after && isIncluded(id)).slice(0, limit),
      );
    },
    async judge(ids) {
      await shelf.onJudge(ids);
      return ids.filter((id) => !shelf.busy.has(id)).map((id) => verdictOn(shelf, id));
    },
  };
  return shelf;
}

function verdictOn({ left, right }: Shelf, subjectId: string): Verdict {
  const [here, there] = [left.get(subjectId), right.get(subjectId)];
  return { subjectId, discrepancy: here === there ? undefined : `${here} here, ${there} there` };
}

const put = (id: string, here: number, there = here) => {
  shelf.left.set(id, here);
  shelf.right.set(id, there);
};

const reconcilerOf = ({ db, log, metrics }: Parts, reconciliations: readonly Reconciliation[] = [shelf]) =>
  createReconciler({ db, log, metrics, service: "counters", reconciliations, graceMs: 60_000 });

const runAll = (reconciler: Reconciler, since?: Date) =>
  reconciler.runNow("all", { since, deadline: deadlineIn(10_000) });

const openOf = async (reconciler: Reconciler) =>
  (await reconciler.open("all", 10)).findings.map(({ findingId, subjectId, detail }) => [
    findingId,
    subjectId,
    detail,
  ]);

const announced = () =>
  parts.asOwner(
    `select headers->>'ce-type' as type, headers->>'ce-subject' as subject from kit.outbox order by xid, seq`,
  );

const metric = async (name: string) =>
  (await parts.metrics.registry.metrics())
    .split("\n")
    .find((line) => line.startsWith(`${name}{reconciliation="left-with-right"}`))
    ?.split(" ")[1];

describe("a disagreement", () => {
  test("is a finding with an id of its own, announced once and counted, until it is mended", async () => {
    const reconciler = reconcilerOf(parts);
    put("tea", 3);
    put("cup", 2, 1);
    expect(await runAll(reconciler)).toEqual({ compared: 2, complete: true });
    const [finding, ...others] = await openOf(reconciler);
    expect(others).toEqual([]);
    expect(finding).toEqual([expect.stringMatching(/^finding_/), "cup", "2 here, 1 there"]);
    expect(await metric("reconciliation_findings_open")).toBe("1");
    put("cup", 2, 0);
    await runAll(reconciler);
    expect(await openOf(reconciler)).toEqual([[finding?.[0], "cup", "2 here, 0 there"]]);
    expect(await announced()).toEqual([{ type: "souk.ops.v1.DiscrepancyFound", subject: finding?.[0] }]);
    put("cup", 2);
    await runAll(reconciler);
    expect(await openOf(reconciler)).toEqual([]);
    expect(await metric("reconciliation_findings_open")).toBe("0");
    const kept = await reconciler.list({ includeSettled: true, limit: 10 });
    expect(kept).toMatchObject([{ findingId: finding?.[0], settledAt: expect.any(Date) }]);
  });

  test("that comes back after it was mended is another one", async () => {
    const reconciler = reconcilerOf(parts);
    put("cup", 2, 1);
    await runAll(reconciler);
    const before = await openOf(reconciler);
    put("cup", 2);
    await runAll(reconciler);
    put("cup", 2, 1);
    await runAll(reconciler);
    const after = await openOf(reconciler);
    expect(after[0]?.[0]).not.toBe(before[0]?.[0]);
    expect(await announced()).toHaveLength(2);
  });

  test("that is gone when it is looked at again is none", async () => {
    const reconciler = reconcilerOf(parts);
    put("cup", 2, 1);
    let looks = 0;
    shelf.onJudge = () => {
      looks += 1;
      if (looks === 2) put("cup", 2);
    };
    expect(await runAll(reconciler)).toEqual({ compared: 1, complete: true });
    expect(looks).toBe(2);
    expect(await announced()).toEqual([]);
  });

  test("of a record that is outside the scope by now is still looked at", async () => {
    const reconciler = reconcilerOf(parts);
    put("old", 1, 2);
    await runAll(reconciler);
    expect(await openOf(reconciler)).toHaveLength(1);
    await runAll(reconciler, new Date());
    expect(await openOf(reconciler)).toHaveLength(1);
    put("old", 1);
    await runAll(reconciler, new Date());
    expect(await openOf(reconciler)).toEqual([]);
  });

  test("is listed newest first, page by page", async () => {
    const reconciler = reconcilerOf(parts);
    for (const id of ["a", "b", "c"]) {
      put(id, 1, 2);
      await runAll(reconciler);
    }
    const page = await reconciler.list({ includeSettled: false, limit: 2 });
    expect(page.map(({ subjectId }) => subjectId)).toEqual(["c", "b"]);
    const beforeId = page.at(-1)?.findingId;
    const rest = await reconciler.list({ includeSettled: false, limit: 2, beforeId });
    expect(rest.map(({ subjectId }) => subjectId)).toEqual(["a"]);
  });
});

describe("a run", () => {
  test("leaves busy records to the next one, wherever that begins", async () => {
    const reconciler = reconcilerOf(parts);
    put("old", 1, 2);
    shelf.busy.add("old");
    expect(await runAll(reconciler)).toEqual({ compared: 0, complete: true });
    shelf.busy.clear();
    expect(await runAll(reconciler, new Date())).toEqual({ compared: 1, complete: true });
    expect(await openOf(reconciler)).toHaveLength(1);
  });

  test("compares page after page, each record once, though it was judged early", async () => {
    const reconciler = reconcilerOf(parts);
    for (let n = 0; n < 250; n += 1) put(`tea-${n}`, n, n === 7 ? 0 : n);
    expect(await runAll(reconciler)).toEqual({ compared: 250, complete: true });
    expect(await runAll(reconciler)).toEqual({ compared: 250, complete: true });
  });

  test("that is out of time says so, and the next regular one begins where the last whole one did", async () => {
    const reconciler = reconcilerOf(parts);
    for (let n = 0; n < 250; n += 1) put(`tea-${n}`, n);
    const result = await reconciler.runNow("left-with-right", { deadline: deadlineIn(0) });
    expect(result.complete).toBe(false);
    const [state] = await parts.asOwner("select compared_until from kit.reconciliations");
    expect(state?.compared_until).toBeNull();
  });

  test("stops where so much disagrees that something else must be wrong", async () => {
    const reconciler = reconcilerOf(parts);
    for (let n = 0; n < 1_500; n += 1) put(`tea-${n}`, n, -1);
    expect(await runAll(reconciler)).toEqual({ compared: 1_000, complete: false });
    expect((await reconciler.open("all", 3)).count).toBe(1_000);
  });

  test("that is wanted while another replica's is under way waits for its end", async () => {
    const other = await parts.replica();
    const ended: string[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    put("tea", 1);
    const begun = new Promise<void>((resolve) => {
      shelf.onJudge = async () => {
        shelf.onJudge = () => {};
        resolve();
        await held;
      };
    });
    const first = runAll(reconcilerOf(parts)).then(() => ended.push("first"));
    await begun;
    const impatient = reconcilerOf(other).runNow("all", { deadline: deadlineIn(150) });
    await expect(impatient).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    const second = runAll(reconcilerOf(other)).then(() => ended.push("second"));
    release();
    await Promise.all([first, second]);
    expect(ended).toEqual(["first", "second"]);
    await other.close();
  });

  test("of a comparison nobody knows is refused", async () => {
    const run = reconcilerOf(parts).runNow("tea-leaves", { deadline: deadlineIn(1_000) });
    await expect(run).rejects.toMatchObject({ reason: "RECONCILIATION_NOT_FOUND" });
  });
});

describe("regular runs", () => {
  test("happen once an interval in the whole service: first everything, then what is new", async () => {
    shelf = openShelf(200);
    put("old", 1);
    const other = await parts.replica();
    const stop = new AbortController();
    const running = [parts, other].map((replica) => reconcilerOf(replica).run(stop.signal));
    const startedAt = performance.now();
    await eventually(() => expect(shelf.scopes.length).toBeGreaterThanOrEqual(4));
    const elapsedMs = performance.now() - startedAt;
    stop.abort();
    await Promise.all(running);
    await other.close();
    expect(elapsedMs).toBeGreaterThan(3 * 150);
    const [first, ...later] = shelf.scopes;
    expect(first).toMatchObject({ since: undefined, graceMs: 60_000 });
    for (const { since } of later) expect(since?.getTime()).toBeLessThan(Date.now() - 4 * 60_000);
    expect(Number(await metric("reconciliation_finished_at_seconds"))).toBeGreaterThan(
      Date.now() / 1_000 - 60,
    );
  });

  test("go on after one that failed", async () => {
    shelf = openShelf(50);
    const id = newId("new");
    put(id, 1, 2);
    let failures = 0;
    shelf.onJudge = () => {
      if (failures < 2) {
        failures += 1;
        throw new Error("the other side is away");
      }
    };
    const stop = new AbortController();
    const reconciler = reconcilerOf(parts);
    const running = reconciler.run(stop.signal);
    await eventually(async () => expect(await openOf(reconciler)).toHaveLength(1));
    stop.abort();
    await running;
    expect(failures).toBe(2);
  });
});
