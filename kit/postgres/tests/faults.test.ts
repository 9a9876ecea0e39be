import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type Database, statement } from "#kit/postgres/postgres.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { cloneDatabase, type TestDatabase } from "#kit/testing/test-database.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { countersSchema, runSql } from "#kit/testing/tests/parts.ts";
import { deadlineIn } from "#kit/time/time.ts";

// An unhandled rejection or error event in here fails the run: that is how "the process lives" is seen.

const log = createLogger({ service: "test", level: "silent" });
let server: Awaited<ReturnType<typeof startOwnStore>>;
let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  server = await startOwnStore("postgres");
  database = await cloneDatabase(server.url, countersSchema);
  db = createDatabase({ url: database.appUrl, log });
});
afterAll(async () => {
  await db.close();
  await server[Symbol.asyncDispose]();
});

const shortWork = statement("test-short-work", `select pg_sleep(0.002)`);

/** Eight workers that add to a counter of their own, until told to stop. */
function startLoad(name: string) {
  let going = true;
  const tally = { committed: 0n, failed: 0n, reasons: new Set<unknown>(), lastSuccessAtMs: 0 };
  const attempt = async (counter: string) => {
    try {
      await db.transaction(async (tx) => {
        await addTo(tx, counter, 1);
        await tx.query(shortWork);
      });
      tally.committed += 1n;
      tally.lastSuccessAtMs = performance.now();
    } catch (error) {
      tally.failed += 1n;
      tally.reasons.add((error as { reason?: string }).reason ?? String(error));
    }
  };
  const work = async (counter: string) => {
    while (going) await attempt(counter);
  };
  const counters = Array.from({ length: 8 }, (_, n) => `${name}-${n}`);
  const workers = counters.map(work);
  return {
    tally,
    async stop() {
      going = false;
      const hung = deadlineIn(6_000);
      await Promise.race([Promise.all(workers), eventually(() => expect(hung.remainingMs()).toBe(0), 7_000)]);
      expect(hung.remainingMs()).toBeGreaterThan(0);
      const values = await Promise.all(counters.map((counter) => readCounter(db, counter)));
      return values.reduce((sum, value) => sum + value, 0n);
    },
  };
}

const succeedsAfter = (load: ReturnType<typeof startLoad>, atMs: number, withinMs: number) =>
  eventually(() => expect(load.tally.lastSuccessAtMs).toBeGreaterThan(atMs), withinMs);

test("100 terminations of every connection under load end no process, hang no promise and lose no commit", async () => {
  const load = startLoad("terminated");
  const terminateAll = `select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = '${database.name}' and pid <> pg_backend_pid()`;
  let terminated = 0;
  for (let round = 1; round <= 100; round += 1) {
    await succeedsAfter(load, round === 1 ? 0 : performance.now(), 2_000);
    terminated += (await runSql(server.url, terminateAll)).length;
  }
  await succeedsAfter(load, performance.now(), 2_000);
  const stored = await load.stop();
  expect(terminated).toBeGreaterThan(100);
  expect(load.tally.reasons).toEqual(new Set(["DEPENDENCY_UNAVAILABLE"]));
  // A connection that breaks at COMMIT leaves the outcome unknown; nothing else may differ.
  expect(stored).toBeGreaterThanOrEqual(load.tally.committed);
  expect(stored).toBeLessThanOrEqual(load.tally.committed + load.tally.failed);
});

test("idle connections that are terminated are replaced when they are needed", async () => {
  const size = `select count(*)::int as n from pg_stat_activity where datname = '${database.name}'`;
  await Promise.all(Array.from({ length: 6 }, () => db.query(shortWork)));
  const [before] = await runSql(server.url, size);
  expect(before?.n).toBeGreaterThanOrEqual(6);
  await runSql(
    server.url,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database.name}'`,
  );
  await eventually(async () => expect(await runSql(server.url, size)).toEqual([{ n: 0 }]));
  const outcomes = await eventually(
    () => Promise.all(Array.from({ length: 6 }, () => db.query(shortWork))),
    2_000,
  );
  expect(outcomes).toHaveLength(6);
});

test("a crash and restart of the server is survived, with the first success within two seconds", async () => {
  const load = startLoad("crashed");
  await using session = closing(await db.session());
  await succeedsAfter(load, 0, 2_000);
  await server.stop("immediate");
  await eventually(() => expect(load.tally.failed).toBeGreaterThan(8n), 4_000);
  expect(session.lost.aborted).toBe(true);
  await expect(session.query(shortWork)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  await expect(db.session()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  await server.start();
  await succeedsAfter(load, performance.now(), 2_000);
  const stored = await load.stop();
  expect(load.tally.reasons).toEqual(new Set(["DEPENDENCY_UNAVAILABLE"]));
  expect(stored).toBeGreaterThanOrEqual(load.tally.committed);
  expect(stored).toBeLessThanOrEqual(load.tally.committed + load.tally.failed);
});

test("a connection whose other end falls silent is given up, and work goes on over a new one", async () => {
  await using relay = await startRelay(new URL(database.appUrl));
  const silenced = createDatabase({ url: relay.url, log, answerTimeoutMs: 300 });
  const share = (key: string) => silenced.sharedTransaction(key, (tx) => addTo(tx, key, 1));
  await share("before");
  relay.silence();
  await expect(share("silent")).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  await expect(silenced.query(shortWork)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  relay.speak();
  expect(await share("after")).toBe(1n);
  await silenced.close();
});

/** A TCP relay to the server that can swallow everything without closing anything; what comes later passes again. */
async function startRelay(target: URL) {
  let silent = false;
  const sockets = new Set<Socket>();
  const relay = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      let swallows = silent;
      from.on("data", (bytes) => {
        swallows ||= silent;
        if (!swallows) to.write(bytes);
      });
      from.on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.port = String((relay.address() as AddressInfo).port);
  return {
    url: url.href,
    silence: () => {
      silent = true;
    },
    speak: () => {
      silent = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}

const closing = <T extends { close(): Promise<void> }>(opened: T) =>
  Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() });
