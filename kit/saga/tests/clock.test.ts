import { expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { openReplicas } from "./replicas.ts";
import { aDefinition, away, createParticipants, rowOf } from "./shop.ts";

const { parts, open, openReplica, ended } = openReplicas();

test("a replica takes a saga up when its time has come by the database's clock, and not before", async () => {
  const { step, keys } = createParticipants();
  const definition = aDefinition([step("reserve")]);
  await parts().asOwner(
    `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                            step_started_at, next_wakeup_at, created_at, updated_at)
     select 'saga_' || subject, 'checkout', 1, subject, 'corr', 'running', '{}', t, t + due, t, t
       from (values ('now', interval '0'), ('in-an-hour', interval '1 hour')) s (subject, due), (select souk_now() as t) c`,
  );
  open(parts(), [definition]);
  await ended("now");
  expect(await rowOf(parts(), "in-an-hour")).toMatchObject({ status: "running", fencing_token: "1" });
  await parts().database.shiftClock(3_600_000);
  await ended("in-an-hour");
  expect(keys).toEqual(["now:reserve", "in-an-hour:reserve"]);
});

test("a clock that jumps by a day ends no budget, whoever goes on with a saga", async () => {
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
  await open(parts(), [definition]).start(definition, ...subjects);
  open(await openReplica(), [definition]);
  await eventually(() => expect(keys.length).toBeGreaterThan(5));
  await parts().database.shiftClock(24 * 3_600_000);
  const before = keys.length;
  await eventually(() => expect(keys.length).toBeGreaterThan(before + 2));
  failing = false;
  for (const subject of subjects) await ended(subject, "completed", 8_000);
  expect(keys.filter((key) => key.endsWith(":undo"))).toEqual([]);
});
