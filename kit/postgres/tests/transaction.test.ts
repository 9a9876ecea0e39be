import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createDatabase,
  type Database,
  isLockTimeout,
  isUniqueViolation,
  lockTimeoutMs,
  statement,
  type Transaction,
} from "#kit/postgres/postgres.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let db: Database;

beforeAll(async () => {
  parts = await openParts();
  ({ db } = parts);
});
afterAll(() => parts.close());

const note = statement("test-note", `insert into notes (text) values ($1) returning seq`);
const noteTwin = statement("test-note-twin", `insert into counters (name, value) values ($1, 1)`);
const readNotes = statement(
  "test-read-notes",
  `select text, xid::text as xid from notes where text like $1 || '%' order by seq`,
);
const broken = statement("test-broken", `select 1 / 0`);
const dead = new Error("the work gave up");

const notesOf = (prefix: string) => db.query<{ text: string; xid: string }>(readNotes, [prefix]);

/** Lets several pieces of work wait until all of them have come this far; later arrivals pass. */
function barrier(count: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let arrived = 0;
  return () => {
    arrived += 1;
    if (arrived === count) resolve();
    return promise;
  };
}

describe("values", () => {
  test("an int8 comes back as a bigint, whole", async () => {
    const read = statement(
      "test-types",
      `select 9007199254740993::int8 as n, souk_now() as at, '{"a":[1]}'::jsonb as j`,
    );
    const [row] = await db.query<{ n: bigint; at: Date; j: unknown }>(read);
    expect(row).toEqual({ n: 9007199254740993n, at: expect.any(Date), j: { a: [1] } });
  });
});

describe("a transaction", () => {
  test("runs statements that are issued without awaiting in one transaction and in their order", async () => {
    const texts = Array.from({ length: 40 }, (_, n) => `order-${String(n).padStart(2, "0")}`);
    await db.transaction(async (tx) => {
      await Promise.all(texts.map((text) => tx.query(note, [text])));
    });
    const rows = await notesOf("order-");
    expect(rows.map(({ text }) => text)).toEqual(texts);
    expect(new Set(rows.map(({ xid }) => xid)).size).toBe(1);
  });

  test("keeps nothing when its work throws", async () => {
    const work = db.transaction(async (tx) => {
      await tx.query(note, ["thrown"]);
      throw dead;
    });
    await expect(work).rejects.toBe(dead);
    expect(await notesOf("thrown")).toEqual([]);
  });

  // The server would answer its COMMIT with ROLLBACK, which is no error to the driver.
  test("whose work swallowed a statement's error has failed with that error", async () => {
    let announced = false;
    const work = db.transaction(async (tx) => {
      tx.afterCommit(() => {
        announced = true;
      });
      await tx.query(note, ["swallowed"]);
      await tx.query(broken).catch(() => {});
      return "fine";
    });
    await expect(work).rejects.toThrow("division by zero");
    expect(announced).toBe(false);
    expect(await notesOf("swallowed")).toEqual([]);
  });

  test("writes deferred rows whose statement itself begins with `with`, in any place among others", async () => {
    const withClock = statement(
      "test-note-with",
      "with word as (select $1::text as text) insert into notes (text) select text from word",
    );
    const later = (text: string) => ({ statement: withClock, values: [text] });
    const plainly = (text: string) => ({ statement: note, values: [text] });
    for (const order of [
      [later, plainly],
      [plainly, later],
    ])
      await db.transaction(async (tx) => {
        for (const [index, defer] of order.entries()) tx.beforeCommit(() => defer(`with-${index}`));
      });
    const texts = (await notesOf("with-")).map(({ text }) => text);
    expect(texts.sort()).toEqual(["with-0", "with-0", "with-1", "with-1"]);
  });

  test("writes deferred rows with COMMIT, all or none, and only then tells who asked to be told", async () => {
    const deferred = (text: string) => () => ({ statement: note, values: [text] });
    const twin = (name: string) => () => ({ statement: noteTwin, values: [name] });
    const told: string[] = [];
    const defer = (tx: Transaction, text: string) => {
      tx.beforeCommit(deferred(`${text}-1`));
      tx.beforeCommit(twin(text));
      tx.beforeCommit(() => undefined);
      tx.afterCommit(() => told.push(text));
    };
    await db.transaction(async (tx) => defer(tx, "deferred"));
    expect((await notesOf("deferred")).length).toBe(1);
    const again = await db.transaction(async (tx) => defer(tx, "deferred")).catch((error: unknown) => error);
    expect(isUniqueViolation(again, "counters_pkey")).toBe(true);
    expect(isUniqueViolation(again, "notes_pkey")).toBe(false);
    expect((await notesOf("deferred")).length).toBe(1);
    expect(told).toEqual(["deferred"]);
  });

  test.each(["committed", "rolled back"])("refuses a statement that comes after it was %s", async (end) => {
    let leaked: Transaction | undefined;
    const work = db.transaction(async (tx) => {
      leaked = tx;
      await tx.query(note, [`late ${end} in time`]);
      if (end === "rolled back") throw dead;
    });
    await work.catch(() => {});
    await expect(leaked?.query(note, [`late ${end} too late`])).rejects.toThrow(/came too late/);
    const kept = (await notesOf(`late ${end}`)).map(({ text }) => text);
    expect(kept).toEqual(end === "committed" ? [`late ${end} in time`] : []);
  });

  test("that meets another in a deadlock is repeated, and both succeed", async () => {
    await Promise.all(["dead-a", "dead-b"].map((name) => addTo(db, name, 0)));
    const bothHold = barrier(2);
    let attempts = 0;
    const cross = (first: string, second: string) =>
      db.transaction(async (tx) => {
        attempts += 1;
        await addTo(tx, first, 1);
        await bothHold();
        await addTo(tx, second, 1);
      });
    await Promise.all([cross("dead-a", "dead-b"), cross("dead-b", "dead-a")]);
    // The one that was ended may come back for its first row before the other has woken, and meet it once more.
    expect(attempts).toBeGreaterThan(2);
    expect(await readCounter(db, "dead-a")).toBe(2n);
    expect(await readCounter(db, "dead-b")).toBe(2n);
  });

  test("that cannot have a lock in time fails in a way of its own", async () => {
    const [held, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holder = db.transaction(async (tx) => {
      await addTo(tx, "locked", 1);
      held.resolve();
      await done.promise;
    });
    await held.promise;
    const hurry = statement("test-hurry", `select set_config('lock_timeout', '30', true)`);
    const error = await db
      .transaction(async (tx) => {
        await tx.query(hurry);
        await addTo(tx, "locked", 1);
      })
      .catch((failure: unknown) => failure);
    done.resolve();
    await holder;
    expect(isLockTimeout(error)).toBe(true);
    expect(isLockTimeout(dead)).toBe(false);
    const limits = statement("test-limits", `select current_setting('lock_timeout') as lock`);
    expect(await db.query(limits)).toEqual([{ lock: `${lockTimeoutMs / 1_000}s` }]);
  });
});

describe("a database", () => {
  const sleep = statement("test-sleep", `select pg_sleep(20)`);

  test("cancels a statement that takes too long", async () => {
    await using hasty = limited({ statementTimeoutMs: 60 });
    const late = expect.objectContaining({ reason: "DEADLINE_EXCEEDED" });
    await expect(hasty.db.query(sleep)).rejects.toEqual(late);
    await expect(hasty.db.transaction((tx) => tx.query(sleep))).rejects.toEqual(late);
  });

  test("gets every connection back from work that failed, in whichever way", async () => {
    await using small = limited({ maxConnections: 2 });
    const failures = [
      () => small.db.transaction(async () => Promise.reject(dead)),
      () => small.db.transaction((tx) => tx.query(note, ["lost"]).then(() => Promise.reject(dead))),
      () => small.db.transaction((tx) => tx.query(broken)),
      () => small.db.transaction(async (tx) => void (await tx.query(broken).catch(() => {}))),
      () => small.db.transaction(async (tx) => tx.beforeCommit(() => ({ statement: broken, values: [] }))),
      () =>
        small.db.transaction(async (tx) => {
          tx.beforeCommit(() => {
            throw dead;
          });
          await tx.query(note, ["lost"]);
        }),
      () => small.db.query(broken),
    ];
    const work = Array.from({ length: 10 }, () => failures).flat();
    const outcomes = await Promise.allSettled(work.map((fail) => fail()));
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    const bothOpen = barrier(2);
    const open = (name: string) =>
      small.db.transaction(async (tx) => {
        const value = await addTo(tx, name, 1);
        await bothOpen();
        return value;
      });
    expect(await Promise.all([open("leak-a"), open("leak-b")])).toEqual([1n, 1n]);
    expect(await notesOf("lost")).toEqual([]);
  });

  test("that has no connection to spare says so before long", async () => {
    await using small = limited({ maxConnections: 1 });
    const done = Promise.withResolvers<void>();
    const holder = small.db.transaction((tx) => addTo(tx, "held", 1).then(() => done.promise));
    await expect(small.db.query(note, ["waited"])).rejects.toMatchObject({
      reason: "DEPENDENCY_UNAVAILABLE",
    });
    done.resolve();
    await holder;
  });

  function limited(limits: { maxConnections?: number; statementTimeoutMs?: number }) {
    const limitedDb = createDatabase({ url: parts.database.appUrl, log: parts.log, ...limits });
    return { db: limitedDb, [Symbol.asyncDispose]: () => limitedDb.close() };
  }
});

test("a session takes the way past a pooler, and nothing else does", async () => {
  const { appUrl } = parts.database;
  const sessionUrl = `${appUrl}?application_name=direct`;
  const pooled = createDatabase({ url: `${appUrl}?application_name=pooled`, sessionUrl, log: parts.log });
  const name = statement("test-application", `select current_setting('application_name') as name`);
  const session = await pooled.session();
  expect(await session.query(name)).toEqual([{ name: "direct" }]);
  expect(await pooled.query(name)).toEqual([{ name: "pooled" }]);
  await session.close();
  await pooled.close();
});
