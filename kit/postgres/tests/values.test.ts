import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, statement } from "#kit/postgres/postgres.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;
let db: Database;

beforeAll(async () => {
  parts = await openParts();
  ({ db } = parts);
});
afterAll(() => parts.close());

const texts = [
  "",
  "tea",
  'a "quoted" word',
  "back\\slash",
  "{braces, commas}",
  "NULL",
  "null",
  " spaces ",
  "two\nlines",
  "日本語 🫖",
  "x".repeat(70_000),
  "é".repeat(9_000),
];

/** What the server has of each element, and what it gives back. */
const echo = (type: string) =>
  statement(
    `test-echo-${type}`,
    `select item, octet_length(item::text) as length from unnest($1::${type}[]) with ordinality as given (item, at)
      order by at`,
  );

const given = async (type: string, items: readonly unknown[]) =>
  (await db.query<{ item: unknown }>(echo(type), [items])).map(({ item }) => item);

test("texts arrive as they are, whatever is in them, and so does their absence", async () => {
  expect(await given("text", [...texts, null, undefined])).toEqual([...texts, null, null]);
  expect(await given("text", [])).toEqual([]);
  expect(await given("text", [null])).toEqual([null]);
  expect(await given("text", [1, 2n, true])).toEqual(["1", "2", "true"]);
});

test("bytes arrive as they are, large ones too", async () => {
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const large = Buffer.alloc(300_000, 7);
  const answered = await given("bytea", [every, new Uint8Array(0), null, large, every.subarray(10, 20)]);
  expect(answered).toEqual([
    Buffer.from(every),
    Buffer.alloc(0),
    null,
    large,
    Buffer.from(every.subarray(10, 20)),
  ]);
});

test("documents arrive as they are, written as JSON or to be written so", async () => {
  const document = { "ce-id": 'a "quoted" \\ word', list: [1, null], none: null };
  const answered = await given("jsonb", [JSON.stringify(document), document, null, "[]", 7]);
  expect(answered).toEqual([document, document, null, [], 7]);
});

test("numbers, times, flags and ids arrive in arrays and by themselves", async () => {
  const at = new Date("2026-11-21T12:34:56.789Z");
  const id = "2fe3a8f0-0000-7000-8000-0123456789ab";
  const all = statement(
    "test-all",
    `select $1::bigint[] as bigints, $2::int[] as ints, $3::timestamptz[] as times, $4::boolean[] as flags, $5::uuid[] as ids,
            $6::text as text, $7::bytea as bytes, $8::jsonb as document, $9::timestamptz as at, $10::bigint as count,
            $11::text as nothing, $12::text[] as no_list`,
  );
  const values = [
    [1n, -2n, null],
    [3, null],
    [at, null],
    [true, null, false],
    [id, null],
    'a "quoted" \\ word',
    Uint8Array.of(0, 1, 255),
    { a: [1] },
    at,
    2n ** 62n,
    null,
    null,
  ];
  expect(await db.query(all, values)).toEqual([
    {
      bigints: expect.anything(),
      ints: [3, null],
      times: [at, null],
      flags: [true, null, false],
      ids: [id, null],
      text: 'a "quoted" \\ word',
      bytes: Buffer.from([0, 1, 255]),
      document: { a: [1] },
      at,
      count: 2n ** 62n,
      nothing: null,
      no_list: null,
    },
  ]);
});

test("a value that cannot be sent fails alone: what was written for it is not sent with the next", async () => {
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  await expect(given("jsonb", [loop])).rejects.toThrow(/circular/);
  await expect(given("text", ["a\0b"])).rejects.toThrow();
  expect(await given("jsonb", [{ after: true }])).toEqual([{ after: true }]);
  expect(await given("text", ["after"])).toEqual(["after"]);
});

test("many statements in one write are answered each for itself", async () => {
  const rows = await db.transaction((tx) =>
    Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        tx.query<{ item: string }>(echo("text"), [[`${n}`, "y".repeat(n * 10)]]),
      ),
    ),
  );
  expect(rows.map(([first]) => first?.item)).toEqual(Array.from({ length: 300 }, (_, n) => `${n}`));
});
