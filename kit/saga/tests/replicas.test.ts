import { describe, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { longLeaseMs, openReplicas } from "./replicas.ts";
import { aDefinition, aSubject, away, createParticipants, endsOf, rowOf } from "./shop.ts";

const { parts, open, openReplica, ended, createStall } = openReplicas();

/** A dead replica's sagas go on within this time of its death: its lease, of which config has the default, and what follows. */
const takenOverWithinMs = 15_000;
const usualLeaseMs = 10_000;

describe("a saga whose holder is silent until its lease ends", () => {
  test("is taken over, and whatever the former holder still writes falls on no row", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("former");
    const stalled = aDefinition([step("reserve", { do: stall.do })]);
    const prompt = aDefinition([step("reserve", { do: async () => ({ by: "latter" }) })]);
    const former = open(parts(), [stalled], { leaseMs: longLeaseMs });
    const subject = aSubject("stalled");
    await former.start(stalled, subject);
    await stall.begun;
    open(await openReplica(), [prompt], { leaseMs: longLeaseMs });
    await parts().database.shiftClock(longLeaseMs + 1_000);
    await ended(subject);
    const taken = await rowOf(parts(), subject);
    expect(taken).toMatchObject({ results: { reserve: { by: "latter" } }, fencing_token: "2" });
    stall.end();
    await former.stop();
    expect(await rowOf(parts(), subject)).toEqual(taken);
    expect(await endsOf(parts(), subject)).toEqual({ completed: 1n, compensated: 0n });
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
    const { lease_expires_at: expiresAt } = (await rowOf(parts(), subject)) ?? {};
    open(parts(), [living]);
    await ended(subject);
    expect((await rowOf(parts(), subject))?.results).toMatchObject({
      reserve: { done: "reserve" },
      capture: { by: "living" },
    });
    const [row] = await parts().asOwner(`select updated_at from kit.sagas where subject_id = '${subject}'`);
    const afterLeaseMs = Number(row?.updated_at) - Number(expiresAt);
    expect(afterLeaseMs).toBeGreaterThanOrEqual(0);
    expect(afterLeaseMs).toBeLessThan(takenOverWithinMs - usualLeaseMs);
  });

  test("is not taken from a holder who is slow but alive", async () => {
    const { step, keys } = createParticipants();
    const stall = createStall("slow");
    const definition = aDefinition([step("reserve", { do: stall.do })]);
    const subject = aSubject("alive");
    await open(parts(), [definition], { leaseMs: 600 }).start(definition, subject);
    await stall.begun;
    const firstLease = (await rowOf(parts(), subject))?.lease_expires_at;
    open(await openReplica(), [definition], { leaseMs: 600 });
    // Two leases have passed by the database's clock, and it was renewed all along.
    await eventually(async () => {
      const row = await rowOf(parts(), subject);
      expect(Number(row?.lease_expires_at)).toBeGreaterThan(Number(firstLease) + 1_200);
    });
    expect(await rowOf(parts(), subject)).toMatchObject({ fencing_token: "1" });
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
    const { start } = open(parts(), [definition], { leaseMs: longLeaseMs });
    await start(definition, "held");
    await stall.begun;
    await parts().database.shiftClock(longLeaseMs + 1_000);
    // Nobody's and due: once it is claimed, so would the other have been.
    await parts().asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_loose', definition, 1, 'loose', correlation_id, status, input,
              souk_now(), souk_now(), souk_now(), souk_now() from kit.sagas`,
    );
    await ended("loose");
    expect(await rowOf(parts(), "held")).toMatchObject({ fencing_token: "1" });
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
    await open(parts(), [definition], { leaseMs: longLeaseMs }).start(definition, "heard");
    await stall.begun;
    await parts().asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, lease_owner, lease_expires_at, created_at, updated_at)
       select 'saga_unheard', definition, definition_version, 'unheard', correlation_id, status, input,
              souk_now(), souk_now(), lease_owner, lease_expires_at, souk_now(), souk_now() from kit.sagas`,
    );
    await ended("unheard", "completed", 5_000);
    expect(keys).toEqual(["heard:reserve", "unheard:reserve"]);
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
    const stopping = open(parts(), [definition], { leaseMs: longLeaseMs });
    await stopping.start(definition, "under-way", "waiting");
    await stall.begun;
    await eventually(() => expect(keys.filter((key) => key === "waiting:reserve").length).toBeGreaterThan(2));
    const stopped = stopping.stop();
    stall.end();
    await stopped;
    expect(await rowOf(parts(), "under-way")).toMatchObject({
      step: 1,
      results: { reserve: { by: "stopping" } },
    });
    for (const subject of ["under-way", "waiting"])
      expect(await rowOf(parts(), subject)).toMatchObject({
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
    await parts().asOwner(
      `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                              step_started_at, next_wakeup_at, created_at, updated_at)
       select 'saga_' || n, 'checkout', 1, 'shared-' || n, 'corr', 'running', '{}', t, t, t, t
         from generate_series(1, 300) n, (select souk_now() as t) c`,
    );
    open(parts(), [definition]);
    open(await openReplica(), [definition]);
    const running = `select from kit.sagas where status <> 'completed'`;
    await eventually(async () => expect(await parts().asOwner(running)).toEqual([]));
    expect(keys).toHaveLength(600);
    expect(new Set(keys).size).toBe(600);
  });
});
