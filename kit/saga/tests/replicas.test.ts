import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { aDefinition, aSubject, away, createParticipants, endsOf, openEngine, rowOf } from "./shop.ts";

/** Far longer than any test: what is seen to happen is not the lease running out by itself. */
const longLeaseMs = 600_000;

let parts: Parts;
let stops: (() => Promise<void>)[];
let stalls: (() => void)[];

beforeEach(async () => {
  parts = await openParts();
  stops = [];
  stalls = [];
});
afterEach(async () => {
  for (const end of stalls) end();
  for (const stop of stops.toReversed()) await stop();
  await parts.close();
});

function open(...args: Parameters<typeof openEngine>) {
  const engine = openEngine(...args);
  stops.push(engine.stop);
  return engine;
}

async function openReplica() {
  const replica = await parts.replica();
  stops.push(() => replica.close());
  return replica;
}

const ended = (subject: string, status = "completed", withinMs?: number) =>
  eventually(async () => expect(await rowOf(parts, subject)).toMatchObject({ status }), withinMs);

/** A step that says when it has begun, and ends when it is told to. */
function createStall(by: string) {
  const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  stalls.push(mayEnd.resolve);
  return {
    begun: begun.promise,
    end: mayEnd.resolve,
    async do() {
      begun.resolve();
      await mayEnd.promise;
      return { by };
    },
  };
}

describe("a saga whose holder is silent until its lease ends", () => {
  test("is taken over, and whatever the former holder still writes falls on no row", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("former");
    const stalled = aDefinition([step("reserve", { do: stall.do })]);
    const prompt = aDefinition([step("reserve", { do: async () => ({ by: "latter" }) })]);
    const former = open(parts, [stalled], { leaseMs: longLeaseMs });
    const subject = aSubject("stalled");
    await former.start(stalled, subject);
    await stall.begun;
    open(await openReplica(), [prompt], { leaseMs: longLeaseMs });
    await parts.database.shiftClock(longLeaseMs + 1_000);
    await ended(subject);
    const taken = await rowOf(parts, subject);
    expect(taken).toMatchObject({ results: { reserve: { by: "latter" } }, fencing_token: "2" });
    stall.end();
    await former.stop();
    expect(await rowOf(parts, subject)).toEqual(taken);
    expect(await endsOf(parts, subject)).toEqual({ completed: 1n, compensated: 0n });
    expect(keys).toEqual([`${subject}:reserve`, `${subject}:reserve`]);
  });

  test("because it died is ended by another replica, once its lease is over and not before", async () => {
    const { step } = createParticipants();
    const stall = createStall("dead");
    const dying = aDefinition([step("reserve"), step("capture", { do: stall.do })]);
    const living = aDefinition([step("reserve"), step("capture", { do: async () => ({ by: "living" }) })]);
    // Without its loops it renews nothing and gives nothing back: to the others that is a dead process.
    const subject = aSubject("died");
    await open(await openReplica(), [dying], { leaseMs: 1_500, runs: false }).start(dying, subject);
    await stall.begun;
    const { lease_expires_at: expiresAt } = (await rowOf(parts, subject)) ?? {};
    open(parts, [living]);
    await ended(subject);
    expect((await rowOf(parts, subject))?.results).toMatchObject({
      reserve: { done: "reserve" },
      capture: { by: "living" },
    });
    const [row] = await parts.asOwner(`select updated_at from kit.sagas where subject_id = '${subject}'`);
    expect(Number(row?.updated_at)).toBeGreaterThanOrEqual(Number(expiresAt));
  });

  test("is not taken from a holder who is slow but alive", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("slow");
    const definition = aDefinition([step("reserve", { do: stall.do })]);
    const subject = aSubject("alive");
    await open(parts, [definition], { leaseMs: 600 }).start(definition, subject);
    await stall.begun;
    const firstLease = (await rowOf(parts, subject))?.lease_expires_at;
    open(await openReplica(), [definition], { leaseMs: 600 });
    // Two leases have passed by the database's clock, and it was renewed all along.
    await eventually(async () => {
      const row = await rowOf(parts, subject);
      expect(Number(row?.lease_expires_at)).toBeGreaterThan(Number(firstLease) + 1_200);
    });
    expect(await rowOf(parts, subject)).toMatchObject({ fencing_token: "1" });
    stall.end();
    await ended(subject);
    expect(keys).toEqual([`${subject}:reserve`]);
  });
});

describe("a replica", () => {
  test("does not take a saga from itself, though its lease has run out", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("itself");
    const definition = aDefinition([
      step("reserve", { do: ({ subjectId }) => (subjectId === "held" ? stall.do() : Promise.resolve({})) }),
    ]);
    const { start } = open(parts, [definition], { leaseMs: longLeaseMs });
    await start(definition, "held");
    await stall.begun;
    await parts.database.shiftClock(longLeaseMs + 1_000);
    // Nobody's and due: once it is claimed, so would the other have been.
    await parts.asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_loose', definition, 1, 'loose', correlation_id, status, input,
              souk_now(), souk_now(), souk_now(), souk_now() from kit.sagas`,
    );
    await ended("loose");
    expect(await rowOf(parts, "held")).toMatchObject({ fencing_token: "1" });
    stall.end();
    await ended("held");
    expect(keys).toEqual(["held:reserve", "loose:reserve"]);
  });

  test("adopts a saga whose COMMIT it never heard of", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("heard");
    const definition = aDefinition([
      step("reserve", {
        do: ({ subjectId }) => (subjectId === "unheard" ? Promise.resolve({}) : stall.do()),
      }),
    ]);
    await open(parts, [definition], { leaseMs: longLeaseMs }).start(definition, "heard");
    await stall.begun;
    await parts.asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, lease_owner, lease_expires_at, created_at, updated_at)
       select 'saga_unheard', definition, definition_version, 'unheard', correlation_id, status, input,
              souk_now(), souk_now(), lease_owner, lease_expires_at, souk_now(), souk_now() from kit.sagas`,
    );
    await ended("unheard", "completed", 5_000);
    expect(keys).toEqual(["heard:reserve", "unheard:reserve"]);
  });

  test("leaves a saga of a version it does not know alone, and can still tell of it", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("old");
    const old = aDefinition([step("reserve", { do: stall.do })]);
    const renewed = aDefinition([step("reserve"), step("authorize")], { version: 2 });
    const dead = open(await openReplica(), [old, renewed], { runs: false });
    await dead.start(old, "of-old");
    await stall.begun;
    // Both are nobody's and due at once, so whoever claims the one has seen the other.
    await parts.asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_new', definition, 2, 'of-new', correlation_id, status, input,
              souk_now(), souk_now(), souk_now(), souk_now() from kit.sagas;
       update kit.sagas set lease_owner = null, lease_expires_at = null`,
    );
    const { engine } = open(parts, [renewed]);
    await ended("of-new");
    expect(await rowOf(parts, "of-old")).toMatchObject({
      status: "running",
      lease_owner: null,
      fencing_token: "1",
    });
    expect(keys).toEqual(["of-old:reserve", "of-new:reserve", "of-new:authorize"]);
    expect(await engine.find(renewed, "of-old")).toMatchObject({ status: "running", lastDone: undefined });
  });

  test("takes a saga up when its time has come by the database's clock, and not before", async () => {
    const { step, keys } = createParticipants();
    const definition = aDefinition([step("reserve")]);
    await parts.asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_' || subject, 'checkout', 1, subject, 'corr', 'running', '{}', t, t + due, t, t
         from (values ('now', interval '0'), ('in-an-hour', interval '1 hour')) s (subject, due), (select souk_now() as t) c`,
    );
    open(parts, [definition]);
    await ended("now");
    expect(await rowOf(parts, "in-an-hour")).toMatchObject({ status: "running", fencing_token: "1" });
    await parts.database.shiftClock(3_600_000);
    await ended("in-an-hour");
    expect(keys).toEqual(["now:reserve", "in-an-hour:reserve"]);
  });

  test("that stops ends the steps under way, records them, and gives its leases back at once", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("stopping");
    const definition = aDefinition([
      step("reserve", {
        do: ({ subjectId }) => (subjectId === "under-way" ? stall.do() : Promise.reject(away())),
      }),
      step("capture"),
    ]);
    const healthy = aDefinition([step("reserve"), step("capture")]);
    const stopping = open(parts, [definition], { leaseMs: longLeaseMs });
    await stopping.start(definition, "under-way", "waiting");
    await stall.begun;
    await eventually(() => expect(keys.filter((key) => key === "waiting:reserve").length).toBeGreaterThan(2));
    const stopped = stopping.stop();
    stall.end();
    await stopped;
    expect(await rowOf(parts, "under-way")).toMatchObject({
      step: 1,
      results: { reserve: { by: "stopping" } },
    });
    for (const subject of ["under-way", "waiting"])
      expect(await rowOf(parts, subject)).toMatchObject({
        status: "running",
        lease_owner: null,
        lease_expires_at: null,
      });
    expect(keys).not.toContain("under-way:capture");
    open(await openReplica(), [healthy], { leaseMs: longLeaseMs });
    await ended("under-way", "completed", 2_000);
    await ended("waiting");
    expect(keys.filter((key) => key === "under-way:reserve")).toHaveLength(1);
  });

  test("shares sagas with another without both driving one", async () => {
    const { step, keys } = createParticipants();
    const definition = aDefinition([step("reserve"), step("capture")]);
    await parts.asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_' || n, 'checkout', 1, 'shared-' || n, 'corr', 'running', '{}', t, t, t, t
         from generate_series(1, 300) n, (select souk_now() as t) c`,
    );
    open(parts, [definition]);
    open(await openReplica(), [definition]);
    const running = `select from kit.sagas where status <> 'completed'`;
    await eventually(async () => expect(await parts.asOwner(running)).toEqual([]));
    expect(keys).toHaveLength(600);
    expect(new Set(keys).size).toBe(600);
  });
});

test("a deploy with sagas in flight: old and new build share the table, and each saga ends by the steps it began with", async () => {
  const { step, keys } = createParticipants();
  const stall = createStall("old");
  const oldSteps = [step("charge", { do: stall.do }), step("notify")];
  const old = aDefinition(oldSteps);
  const renewed = aDefinition([step("reserve"), step("capture")], {
    version: 2,
    earlier: [{ version: 1, steps: [step("charge"), step("notify")] }],
  });
  const oldBuild = open(parts, [old]);
  await oldBuild.start(old, "began-old");
  await stall.begun;
  const newBuild = open(await openReplica(), [renewed]);
  await newBuild.start(renewed, "began-new");
  await ended("began-new");
  expect(await rowOf(parts, "began-old")).toMatchObject({ status: "running", step: 0 });
  const stopped = oldBuild.stop();
  stall.end();
  await stopped;
  await ended("began-old");
  expect(await newBuild.engine.find(renewed, "began-old")).toMatchObject({ lastDone: "notify" });
  expect(keys).toEqual(["began-old:charge", "began-new:reserve", "began-new:capture", "began-old:notify"]);
});

test("a clock that jumps by a day ends no budget and takes no saga from who drives it", async () => {
  const { step, keys } = createParticipants();
  let failing = true;
  const definition = aDefinition([
    step("reserve", {
      undo: async () => {},
      budgetMs: 60_000,
      do: () => (failing ? Promise.reject(away()) : Promise.resolve({})),
    }),
  ]);
  const subjects = ["jump-1", "jump-2", "jump-3"];
  await open(parts, [definition]).start(definition, ...subjects);
  open(await openReplica(), [definition]);
  await eventually(() => expect(keys.length).toBeGreaterThan(5));
  await parts.database.shiftClock(24 * 3_600_000);
  const before = keys.length;
  await eventually(() => expect(keys.length).toBeGreaterThan(before + 2));
  failing = false;
  for (const subject of subjects) await ended(subject, "completed", 8_000);
  expect(keys.filter((key) => key.endsWith(":undo"))).toEqual([]);
});
