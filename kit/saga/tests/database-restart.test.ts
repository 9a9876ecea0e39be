import { expect, test } from "vitest";
import { createLogger } from "#kit/telemetry/telemetry.ts";
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
  const complaints: string[] = [];
  const collect = { write: (line: string) => void complaints.push(line) };
  const log = createLogger({ service: "test", level: "warn", destination: collect });
  const { start, stop } = openEngine({ ...parts, log }, [definition], { leaseMs: 400 });
  const subjects = Array.from({ length: 60 }, (_, n) => `order-${n}`);
  await start(definition, ...subjects);
  await eventually(() => expect(reached.size).toBe(60));
  await server.stop("immediate");
  gate.resolve();
  // All give up together when their lease is over, rather than one after the other, each after a lease of its own.
  await eventually(
    () => expect(complaints.filter((line) => line.includes("waits to be taken up"))).toHaveLength(60),
    6_000,
  );
  await server.start();
  const ends = `select count(*)::int as n, min(value)::int as least, max(value)::int as most
                  from counters where name like '% completed'`;
  await eventually(async () => expect(await parts.asOwner(ends)).toEqual([{ n: 60, least: 1, most: 1 }]));
  expect(new Set(keys).size).toBe(180);
  await stop();
  await parts.close();
});
