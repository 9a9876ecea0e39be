import http2, { type ClientHttp2Session, type OutgoingHttpHeaders } from "node:http2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
let session: ClientHttp2Session;

beforeAll(async () => {
  shop = await startTestEdge();
  session = http2.connect(`http://127.0.0.1:${shop.port}`);
  session.on("error", () => undefined);
});

afterAll(async () => {
  session.destroy();
  await shop.stop();
});

/** Sends one request and reads its whole answer. */
function send(headers: OutgoingHttpHeaders, body?: string): Promise<{ status: unknown; text: string }> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const parts: Buffer[] = [];
    let status: unknown;
    stream.on("response", (answered) => {
      status = answered[":status"];
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("error", reject);
    stream.on("end", () => resolve({ status, text: Buffer.concat(parts).toString() }));
    if (body !== undefined) stream.end(body);
  });
}

const json = { "content-type": "application/json" };

test.each<[string, OutgoingHttpHeaders, string | undefined, number, string]>([
  ["a raw target", { ":path": "/v1/books/a%2Fb" }, undefined, 200, '"id":"a/b"'],
  ["dot segments", { ":path": "/v1/files/a/../b" }, undefined, 200, '"path":"a/../b"'],
  ["a letter that is not escaped", { ":path": "/v1/books/é" }, undefined, 400, "INVALID_PATH"],
  ["a fragment", { ":path": "/v1/books/a#b" }, undefined, 400, "INVALID_PATH"],
  [
    "a method nobody maps",
    { ":path": "/v1/books/a", ":method": "FROB" },
    undefined,
    405,
    "METHOD_NOT_ALLOWED",
  ],
  ["any method where any is mapped", { ":path": "/v1/any/x", ":method": "FROB" }, undefined, 200, "probed x"],
  ["HEAD", { ":path": "/v1/books/a", ":method": "HEAD" }, undefined, 200, ""],
  ["a body", { ":path": "/v1/books", ":method": "POST", ...json }, '{"id":"é"}', 200, '"id":"é"'],
  ["a bad body", { ":path": "/v1/books", ":method": "POST", ...json }, '{"id":5}', 400, "INVALID_VALUE"],
  [
    "a caller's stream",
    { ":path": "/v1/notes:collect", ":method": "POST", ...json },
    '{"text":"a"}{"text":"b"}',
    200,
    '"text":"b"',
  ],
  [
    "streams on both sides",
    { ":path": "/v1/notes:converse", ":method": "POST", ...json },
    '{"text":"a"}',
    200,
    "you said a",
  ],
  [
    "an array",
    { ":path": "/v1/shelves/a/notes:follow?count=1", accept: "application/json" },
    undefined,
    200,
    "[{",
  ],
])("over HTTP/2, %s is what it is over HTTP/1.1", async (_what, headers, body, status, text) => {
  const answer = await send(headers, body);
  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(text)]);
});
