import net from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fuzzing } from "./fuzzing.ts";
import { sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";
import { answers } from "./transcoding/answers.ts";
import { bodies } from "./transcoding/bodies.ts";
import { hostileJson } from "./transcoding/hostile-json.ts";
import { json } from "./transcoding/json.ts";
import { matching } from "./transcoding/matching.ts";
import { pathValues } from "./transcoding/path-values.ts";
import { queries } from "./transcoding/query.ts";
import { scalars } from "./transcoding/scalars.ts";

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
    fuzzing(400),
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
    fuzzing(400),
  );
});

/** Sends bytes and gives the statuses of whatever answers come; a server that waits for more is left after a moment. */
function statusesOf(bytes: Buffer): Promise<number[]> {
  return new Promise((resolve) => {
    const socket = net.connect(shop.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.setTimeout(150, () => socket.destroy());
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      const text = Buffer.concat(chunks).toString("latin1");
      resolve([...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map((match) => Number(match[1])));
    });
  });
}

const blamesTheServer = (status: number) => status === 500 || status === 502 || status === 503;

/** Requests that are well answered as they are; those told to fail are left out. */
const seeds = [matching, pathValues, scalars, queries, bodies, json, hostileJson, answers]
  .flat()
  .filter(([, , { target, body }]) => !/fail/.test(target) && (body?.length ?? 0) < 3_000)
  .map(([, , { method = "GET", target, headers = {}, body = "" }]) => {
    const bytes = Buffer.from(body as string);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `${method} ${target} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n`;
    return Buffer.concat([Buffer.from(`${head}${lines.join("")}\r\n`, "latin1"), bytes]);
  });

interface Mutation {
  readonly kind: "flip" | "delete" | "insert" | "repeat";
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

const mutations: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("flip", "delete", "insert", "repeat"),
  at: fc.nat(),
  length: fc.nat(12),
  bytes: fc.uint8Array({ maxLength: 6 }),
});

function mutated(bytes: Buffer, { kind, at, length, bytes: others }: Mutation): Buffer {
  const from = at % (bytes.length + 1);
  const part = bytes.subarray(from, from + length);
  const rest = bytes.subarray(from + length);
  if (kind === "delete") return Buffer.concat([bytes.subarray(0, from), rest]);
  if (kind === "insert") return Buffer.concat([bytes.subarray(0, from), others, bytes.subarray(from)]);
  if (kind === "repeat") return Buffer.concat([bytes.subarray(0, from), part, part, rest]);
  return Buffer.concat([bytes.subarray(0, from), part.map((byte) => byte ^ (others[0] ?? 1)), rest]);
}

/** Several at a time, since many are answered by silence alone. */
const together = <T>(of: fc.Arbitrary<T>, count: number) =>
  fc.array(of, { minLength: count, maxLength: count });
const broken = fc
  .tuple(fc.constantFrom(...seeds), fc.array(mutations, { minLength: 1, maxLength: 4 }))
  .map(([seed, changes]) => changes.reduce(mutated, seed));
const noise = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));

test("no request with a few wrong bytes is a server error", async () => {
  await fc.assert(
    fc.asyncProperty(together(broken, 16), async (requests) => {
      expect((await Promise.all(requests.map(statusesOf))).flat().filter(blamesTheServer)).toEqual([]);
    }),
    fuzzing(40),
  );
}, 60_000);

test("no bytes at all are a server error", async () => {
  await fc.assert(
    fc.asyncProperty(together(noise, 20), async (requests) => {
      expect((await Promise.all(requests.map(statusesOf))).flat().filter(blamesTheServer)).toEqual([]);
    }),
    fuzzing(10),
  );
}, 60_000);

test("no caller's stream is a server error, however it is cut", async () => {
  const chunked = (parts: readonly string[]) =>
    parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join("");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("/v1/notes:collect", "/v1/notes:converse", "/v1/notes:texts", "/v1/files:receive"),
      fc.array(
        texts.filter((text) => text !== ""),
        { maxLength: 5 },
      ),
      async (target, parts) => {
        const head = `POST ${target} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`;
        const statuses = await statusesOf(Buffer.from(`${head}${chunked(parts)}0\r\n\r\n`));
        expect(statuses.filter((status) => ![200, 400].includes(status))).toEqual([]);
      },
    ),
    fuzzing(150),
  );
}, 60_000);

test("no frames of a WebSocket take the edge down", async () => {
  const handshake =
    "GET /v1/notes:converse HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  await fc.assert(
    fc.asyncProperty(together(fc.uint8Array({ maxLength: 60 }), 20), async (streams) => {
      const requests = streams.map((frames) => Buffer.concat([Buffer.from(handshake), frames]));
      const statuses = (await Promise.all(requests.map(statusesOf))).flat();
      expect(statuses.filter((status) => status !== 101)).toEqual([]);
    }),
    fuzzing(5),
  );
  await eventually(() => shop.streams.size === 0);
}, 60_000);

test("after all of it, the edge answers", async () => {
  expect((await sendRaw(shop.port, { target: "/v1/books/a" })).status).toBe(200);
});
