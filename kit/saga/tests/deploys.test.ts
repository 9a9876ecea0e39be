import { expect, test } from "vitest";
import { openReplicas } from "./replicas.ts";
import { aDefinition, createParticipants, rowOf } from "./shop.ts";

const { parts, open, openReplica, ended, createStall } = openReplicas();

test("a replica leaves a saga of a version it does not know alone, and can still tell of it", async () => {
  const { step, keys } = createParticipants();
  const stall = createStall("old");
  const old = aDefinition([step("reserve", { do: stall.do })]);
  const renewed = aDefinition([step("reserve"), step("authorize")], { version: 2 });
  const dead = open(await openReplica(), [old, renewed], { runs: false });
  await dead.start(old, "of-old");
  await stall.begun;
  // Both are nobody's and due at once, so whoever claims the one has seen the other.
  await parts().asOwner(
    `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                            step_started_at, next_wakeup_at, created_at, updated_at)
     select 'saga_new', definition, 2, 'of-new', correlation_id, status, input,
            souk_now(), souk_now(), souk_now(), souk_now() from kit.sagas;
     update kit.sagas set lease_owner = null, lease_expires_at = null`,
  );
  const { engine } = open(parts(), [renewed]);
  await ended("of-new");
  expect(await rowOf(parts(), "of-old")).toMatchObject({
    status: "running",
    lease_owner: null,
    fencing_token: "1",
  });
  expect(keys).toEqual(["of-old:reserve", "of-new:reserve", "of-new:authorize"]);
  expect(await engine.find(renewed, "of-old")).toMatchObject({ status: "running", lastDone: undefined });
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
  const oldBuild = open(parts(), [old]);
  await oldBuild.start(old, "began-old");
  await stall.begun;
  const newBuild = open(await openReplica(), [renewed]);
  await newBuild.start(renewed, "began-new");
  await ended("began-new");
  expect(await rowOf(parts(), "began-old")).toMatchObject({ status: "running", step: 0 });
  const stopped = oldBuild.stop();
  stall.end();
  await stopped;
  await ended("began-old");
  expect(await newBuild.engine.find(renewed, "began-old")).toMatchObject({ lastDone: "notify" });
  expect(keys).toEqual(["began-old:charge", "began-new:reserve", "began-new:capture", "began-old:notify"]);
});

test("a canary begins sagas by the steps that the stable release knows and drives; its new step waits for promotion", async () => {
  const { step, keys } = createParticipants();
  const old = aDefinition([step("reserve"), step("capture")]);
  const renewed = aDefinition([step("reserve"), step("gift"), step("capture")], {
    version: 2,
    earlier: [{ version: 1, steps: [step("reserve"), step("capture")] }],
  });
  const canary = open(parts(), [renewed], { runs: false, drives: false });
  await canary.start(renewed, "in-canary");
  open(await openReplica(), [old]);
  await ended("in-canary");
  const promoted = open(await openReplica(), [renewed]);
  await promoted.start(renewed, "promoted");
  await ended("promoted");
  expect(keys).toEqual([
    "in-canary:reserve",
    "in-canary:capture",
    "promoted:reserve",
    "promoted:gift",
    "promoted:capture",
  ]);
});
