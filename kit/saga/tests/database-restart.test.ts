import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts } from "#kit/testing/tests/parts.ts";
import { aDefinition, createParticipants, openEngine } from "./shop.ts";

let server: Awaited<ReturnType<typeof startOwnStore>>;

beforeAll(async () => {
  server = await startOwnStore("postgres");
});
afterAll(() => server[Symbol.asyncDispose]());

/** 60 sagas whose second step is under way, and ends when it is told to. */
async function openShop(leaseMs: number) {
  const parts = await openParts({ postgresUrl: server.url });
  const { step, keys } = createParticipants();
  const gate = Promise.withResolvers<void>();
  const definition = aDefinition([
    step("reserve"),
    step("authorize", { do: () => gate.promise.then(() => ({})) }),
    step("capture"),
  ]);
  const lines: string[] = [];
  const collect = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", level: "debug", destination: collect });
  const { start, stop } = openEngine({ ...parts, log }, [definition], { leaseMs });
  await start(definition, ...Array.from({ length: 60 }, (_, n) => `order-${n}`));
  await eventually(() => expect(keys.filter((key) => key.endsWith(":authorize"))).toHaveLength(60));
  const ends = `select count(*)::int as n, min(value)::int as least, max(value)::int as most
                  from counters where name like '% completed'`;
  return {
    keys,
    endStep: gate.resolve,
    complaints: (text: string) => lines.filter((line) => line.includes(text)).length,
    allCompletedOnce: () =>
      eventually(async () => expect(await parts.asOwner(ends)).toEqual([{ n: 60, least: 1, most: 1 }])),
    async close() {
      await stop();
      await parts.close();
    },
  };
}

test("a crash of Postgres shorter than a lease repeats no step", async () => {
  const shop = await openShop(20_000);
  await server.stop("immediate");
  shop.endStep();
  await eventually(() => expect(shop.complaints("sagas wait for the database")).toBeGreaterThan(2));
  await server.start();
  await shop.allCompletedOnce();
  expect(shop.keys).toHaveLength(180);
  await shop.close();
});

test("a crash of Postgres longer than a lease repeats steps, under their keys, and no saga's end", async () => {
  const shop = await openShop(400);
  await server.stop("immediate");
  shop.endStep();
  // All give up together when their lease is over, rather than one after the other, each after a lease of its own.
  await eventually(() => expect(shop.complaints("waits to be taken up again")).toBe(60), 6_000);
  await server.start();
  await shop.allCompletedOnce();
  expect(new Set(shop.keys).size).toBe(180);
  expect(shop.keys.length).toBeGreaterThan(180);
  await shop.close();
});
