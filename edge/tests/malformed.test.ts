import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sendRaw } from "./raw-http.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;

beforeAll(async () => {
  shop = await startTestEdge();
});

afterAll(() => shop.stop());

const targetChars = fc.constantFrom(
  ..."/:%?&=.+*{}~-_aZ09ÿ\u0001é#",
  "%2F",
  "%c3",
  "%zz",
  "v1",
  "books",
  "kinds",
  "files",
  ":archive",
  "int32Value=",
  "strings=",
);
const targets = fc
  .array(targetChars, { maxLength: 12 })
  .map((parts) => `/v1/${parts.join("")}`.replace(/[^\x21-\x7e\x80-\xff]/g, ""));
const fragments = fc.constantFrom(
  '{"',
  '":',
  "[",
  "]",
  "{",
  "}",
  ",",
  '"',
  "\\",
  "\\u",
  "d800",
  "1",
  "-",
  "e9",
  "null",
  "true",
  "pageCount",
  "author",
  "labels",
  "extra",
  "published",
  "__proto__",
  "\u0000",
);
const texts = fc.oneof(
  fc.array(fragments, { maxLength: 20 }).map((parts) => parts.join("")),
  fc
    .record(
      {
        pageCount: fc.jsonValue(),
        author: fc.jsonValue(),
        labels: fc.jsonValue(),
        tags: fc.jsonValue(),
        published: fc.jsonValue(),
        packed: fc.jsonValue(),
        genre: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
);
const methods = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE");

test("no target is a server error", async () => {
  await fc.assert(
    fc.asyncProperty(methods, targets, async (method, target) => {
      const answer = await sendRaw(shop.port, { method, target });
      expect([200, 204, 400, 404, 405]).toContain(answer.status);
    }),
    { numRuns: 400 },
  );
});

test("no body is a server error", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("/v1/books", "/v1/kinds", "/v1/kinds/map", "/v1/kinds/list", "/v1/kinds/wrapper"),
      texts,
      async (target, body) => {
        const answer = await sendRaw(shop.port, {
          method: "POST",
          target,
          headers: { "content-type": "application/json" },
          body,
        });
        expect([200, 400]).toContain(answer.status);
      },
    ),
    { numRuns: 400 },
  );
});
