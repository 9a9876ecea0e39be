import { expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts } from "#kit/testing/tests/parts.ts";
import { aDefinition, createParticipants, openEngine } from "./shop.ts";

test("a crash of Postgres, longer than a lease, delays the sagas under way and repeats none of their effects", async () => {
  await using server = await startOwnStore("postgres");
  const parts = await openParts({ postgresUrl: server.url });
  const { step, keys } = createParticipants();
  const gate = Promise.withResolvers<void>();
  const reached = new Set<string>();
  const definition = aDefinition([
    step("reserve"),
    step("authorize", {
      async do({ subjectId }) {
        reached.add(subjectId);
        await gate.promise;
        return {};
      },
    }),
    step("capture"),
  ]);
  const { start, stop } = openEngine(parts, [definition], { leaseMs: 400 });
  const subjects = Array.from({ length: 60 }, (_, n) => `order-${n}`);
  await start(definition, ...subjects);
  await eventually(() => expect(reached.size).toBe(60));
  await server.stop("immediate");
  gate.resolve();
  // All gave up together when their lease was over, rather than one after the other.
  await eventually(() => expect(keys.filter((key) => key.endsWith(":authorize"))).toHaveLength(60));
  await server.start();
  const ends = `select count(*)::int as n, min(value)::int as least, max(value)::int as most
                  from counters where name like '% completed'`;
  await eventually(async () => expect(await parts.asOwner(ends)).toEqual([{ n: 60, least: 1, most: 1 }]));
  expect(new Set(keys).size).toBe(180);
  await stop();
  await parts.close();
});
