import { afterAll, beforeAll, expect, test } from "vitest";
import { type BulkStatement, type Database, statement, type Transaction } from "#kit/postgres/postgres.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let db: Database;

beforeAll(async () => {
  parts = await openParts();
  ({ db } = parts);
});
afterAll(() => parts.close());

const note = statement("test-note", `insert into notes (text) values ($1) returning xid::text as xid`);
const readNotes = statement("test-read", `select text from notes where text like $1 || '%' order by seq`);
const dead = new Error("the work gave up");

async function noteDown(tx: Transaction, text: string): Promise<string> {
  const [row] = await tx.query<{ xid: string }>(note, [text]);
  return row?.xid ?? "";
}

const notesOf = async (prefix: string) =>
  (await db.query<{ text: string }>(readNotes, [prefix])).map(({ text }) => text);

test("works that arrive together share one transaction, and each gets its own result", async () => {
  const texts = Array.from({ length: 40 }, (_, n) => `together-${n}`);
  const results = await Promise.all(
    texts.map((text) =>
      db.sharedTransaction(text, async (tx) => ({ text, xid: await noteDown(tx, text), shared: tx.shared })),
    ),
  );
  expect(results.map(({ text }) => text)).toEqual(texts);
  expect(new Set(results.map(({ xid }) => xid)).size).toBe(1);
  expect(results.every(({ shared }) => shared)).toBe(true);
  expect((await notesOf("together-")).length).toBe(40);
});

test("works of one key never share a transaction, and keep their order", async () => {
  const xids = await Promise.all(
    ["a", "b", "a", "a"].map((key, n) =>
      db.sharedTransaction(key, (tx) => noteDown(tx, `keyed-${key}-${n}`)),
    ),
  );
  expect(new Set([xids[0], xids[2], xids[3]]).size).toBe(3);
  expect(xids[1]).toBe(xids[0]);
  const ofA = (await notesOf("keyed-a")).map((text) => text.at(-1));
  expect(ofA).toEqual(["0", "2", "3"]);
});

test("a work that fails takes nobody along, and leaves nothing behind", async () => {
  const told: string[] = [];
  const outcomes = await Promise.allSettled(
    ["first", "failing", "last"].map((name) =>
      db.sharedTransaction(name, async (tx) => {
        await noteDown(tx, `apart-${name}`);
        tx.afterCommit(() => told.push(name));
        if (name === "failing") throw dead;
        return name;
      }),
    ),
  );
  expect(outcomes).toEqual([
    { status: "fulfilled", value: "first" },
    { status: "rejected", reason: dead },
    { status: "fulfilled", value: "last" },
  ]);
  expect((await notesOf("apart-")).toSorted()).toEqual(["apart-first", "apart-last"]);
  expect(told.toSorted()).toEqual(["first", "last"]);
});

test("a work that waits for a lock holds nobody up for long, and succeeds when it has the lock", async () => {
  await addTo(db, "locked", 1);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: held, resolve: hold } = Promise.withResolvers<void>();
  const holder = db.transaction(async (tx) => {
    await addTo(tx, "locked", 1);
    hold();
    await released;
  });
  await held;
  const waiting = db.sharedTransaction("waiting", (tx) => addTo(tx, "locked", 1));
  const free = await Promise.all(
    ["free-a", "free-b"].map((name) => db.sharedTransaction(name, (tx) => addTo(tx, name, 1))),
  );
  // The holder still has the lock here: had the others waited for it, this line would never be reached.
  expect(free).toEqual([1n, 1n]);
  release();
  await holder;
  expect(await waiting).toBe(3n);
  expect(await readCounter(db, "locked")).toBe(3n);
});

test("what a group defers to COMMIT is written by one statement, whole or not at all", async () => {
  const deferNote = (tx: Transaction, text: string) =>
    tx.beforeCommit(() => ({ statement: note, values: [text] }));
  await Promise.all(
    ["x", "y"].map((name) => db.sharedTransaction(name, async (tx) => deferNote(tx, `later-${name}`))),
  );
  expect((await notesOf("later-")).toSorted()).toEqual(["later-x", "later-y"]);
});

interface Addition {
  readonly name: string;
  readonly by: number;
}

/** Divides by zero for −1000, so that one item can spoil the statement. */
const addEach: BulkStatement<Addition> = {
  name: "test-add-each",
  text: `insert into counters as c (name, value) select name, by + 0 / (by + 1000)
           from unnest($1::text[], $2::bigint[]) as item (name, by)
         on conflict (name) do update set value = c.value + excluded.value
         returning name as key, value`,
  keyOf: ({ name }) => name,
  columns: [({ name }) => name, ({ by }) => by],
};

const addOne = (tx: Transaction, name: string, by: number) =>
  tx.queryEach<{ value: bigint }, Addition>(addEach, { name, by });

test("items that works ask for in one tick are one statement, and each work gets its own rows", async () => {
  await addTo(db, "each-2", 40);
  const names = ["each-1", "each-2", "each-3"];
  const sums = await Promise.all(
    names.map((name) => db.sharedTransaction(name, async (tx) => (await addOne(tx, name, 2))[0]?.value)),
  );
  expect(sums).toEqual([2n, 42n, 2n]);
});

interface Asked {
  readonly key: string;
  readonly together: number;
}

/** Tells with how many others it was asked for. */
const askEach: BulkStatement<string> = {
  name: "ask-each",
  text: `select key, cardinality($1::text[]) as together from unnest($1::text[]) as asked (key)`,
  keyOf: (key) => key,
  columns: [(key) => key],
};

test("outside transactions what is asked for in one turn is one statement, and each gets its own rows", async () => {
  const ask = (key: string) => db.queryEach<Asked, string>(askEach, key);
  const inOneTurn = await Promise.all([ask("a"), Promise.resolve().then(() => ask("b")), ask("c")]);
  expect(inOneTurn).toEqual(["a", "b", "c"].map((key) => [{ key, together: 3 }]));
  expect(await ask("a")).toEqual([{ key: "a", together: 1 }]);
  const twice = await Promise.all([ask("a"), ask("a")]);
  expect(twice.flat().map(({ key }) => key)).toEqual(["a", "a"]);
});

test("outside transactions what the server refuses is told to each who asked, and nobody after", async () => {
  const ask = (key: string) => db.queryEach<Asked, string>(askEach, key);
  const outcomes = await Promise.allSettled([ask("a\0"), ask("b")]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await ask("b")).toEqual([{ key: "b", together: 1 }]);
});

test("two items of one key are two statements", async () => {
  const sums = await db.transaction((tx) => Promise.all([addOne(tx, "twice", 1), addOne(tx, "twice", 1)]));
  expect(sums.flat().map(({ value }) => value)).toEqual([1n, 2n]);
});

test("an item that the server refuses fails alone, after its group was taken apart", async () => {
  const outcomes = await Promise.allSettled(
    [1, -1000, 3].map((by) => db.sharedTransaction(`refused ${by}`, (tx) => addOne(tx, `refused ${by}`, by))),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await readCounter(db, "refused 3")).toBe(3n);
});
