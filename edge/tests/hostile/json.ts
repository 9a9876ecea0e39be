import zlib from "node:zlib";
import { describe, expect, test } from "vitest";
import { startProgram } from "../program-process.ts";
import { sendRaw } from "../raw-http.ts";
import type { Target } from "./target.ts";

/** Rows 22, 34 to 43 and 74: JSON. */
export function attackByJson(target: Target): void {
  describe("JSON", () => {
    const json = { "content-type": "application/json" };
    const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
      sendRaw(target.port, { method: "POST", target: "/v1/books", headers: { ...json, ...headers }, body });
    const bodies: readonly (readonly [string, string | Buffer, readonly number[]])[] = [
      ["27: an enum's name that nobody knows", '{"genre":"GENRE_NONE"}', [400]],
      ["29: a million entries", `{"tags":[${'"",'.repeat(1_000_000)}""]}`, [413]],
      ["29: as many entries as a body holds", `{"tags":[${'"",'.repeat(33_000)}""]}`, [200]],
      ["34: nested a hundred thousand deep", "[".repeat(49_000) + "]".repeat(49_000), [400]],
      ["34: nested in a struct", `{"extra":${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}}`, [400]],
      ["35: one key twice", '{"pageCount":1,"pageCount":999}', [400]],
      [
        "36: the prototype's own keys",
        '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}',
        [200, 400],
      ],
      ["37: more than it may be", `{"displayTitle":"${"x".repeat(100_001)}"}`, [413]],
      ["38: a number beyond the exact ones", '{"copiesSold":9007199254740993}', [200]],
      ["39: a number beyond all", '{"pageCount":1e400}', [400]],
      ["39: no number", '{"pageCount":NaN}', [400]],
      ["40: U+0000 and marks of direction, which are text to the edge", '{"id":"a\\u0000\\u202eb"}', [200]],
      ["40: U+0000 as it is", '{"id":"a\u0000b"}', [400]],
      ["40: half a surrogate pair", '{"displayTitle":"\\ud800"}', [400]],
      ["40: a name of 90 KB", `{"${"n".repeat(90_000)}":1}`, [200, 400]],
      ["41: something behind it", '{"id":"a"} x', [400]],
      ["41: a byte order mark", Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from("{}")]), [400]],
      ["41: UTF-16", Buffer.from('{"id":"a"}', "utf16le"), [400, 415]],
      ["43: a list where an object is due", '{"author":[]}', [400]],
      [
        "74: 20,000 keys that look like numbers",
        `{"labels":{${Array.from({ length: 7_000 }, (_, at) => `"${at * 65_536}":"x"`).join()}}}`.slice(
          0,
          99_000,
        ),
        [200, 400],
      ],
    ];
    test.each(bodies)("%s", async (_what, body, statuses) => {
      const startedMs = performance.now();
      const answer = await post(body);
      expect(statuses).toContain(answer.status);
      expect(answer.body).not.toMatch(/\bat .*\.(?:ts|js):\d+/);
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });

    test("38: is exact", async () => {
      expect((await post('{"copiesSold":9007199254740993}')).json().copiesSold).toBe("9007199254740993");
    });

    test("22, 37: compressed to nearly nothing is measured by what it unfolds to", async () => {
      const bomb = zlib.gzipSync(Buffer.alloc(50_000_000, " "));
      expect((await post(bomb, { "content-encoding": "gzip" })).status).toBe(413);
    });

    test("42: a member nobody knows is refused where the edge is told to", async () => {
      const strict = await startProgram([
        ...[
          "--listen",
          "127.0.0.1:0",
          "--backend",
          `127.0.0.1:${target.backend.port}`,
          "--descriptors",
          target.descriptors,
        ],
        ...["--unknown-members", "reject"],
      ]);
      const answer = await sendRaw(strict.port, {
        method: "POST",
        target: "/v1/books",
        headers: json,
        body: '{"id":"a","role":"admin"}',
      });
      expect([answer.status, answer.body.includes("role")]).toEqual([400, true]);
      await strict.stop();
    });
  });
}
