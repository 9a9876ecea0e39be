import { once } from "node:events";
import http2, { type ClientHttp2Session } from "node:http2";
import zlib from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RawAnswer, sendRaw } from "./raw-http.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
let session: ClientHttp2Session;

beforeAll(async () => {
  shop = await startTestEdge({
    cors: { origins: ["https://shop.test"] },
    policyFor: (method) => (method.name === "DeleteBook" ? { httpStatus: 204 } : {}),
  });
  session = http2.connect(`http://127.0.0.1:${shop.port}`);
  session.on("error", () => undefined);
});

afterAll(async () => {
  session.destroy();
  await shop.stop();
});

const post = (title: string, headers: Record<string, string>, method = "POST"): Promise<RawAnswer> =>
  sendRaw(shop.port, {
    method,
    target: "/v1/books",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ displayTitle: title }),
  });

const decoders = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync, zstd: zlib.zstdDecompressSync };

test.each([
  ["gzip", "gzip, deflate, br", 3_000],
  ["br", "identity;q=0.5, gzip;q=0, br", 3_000],
  ["zstd", "zstd", 3_000],
  ["gzip", "GZIP", 200_000],
  ["br", "br", 200_000],
  ["zstd", "zstd", 200_000],
] as const)("an answer is compressed by %s for who accepts %s: %i bytes", async (encoding, accept, size) => {
  const answer = await post("x".repeat(size), { "accept-encoding": accept });
  expect(answer.headers).toMatchObject({
    "content-encoding": encoding,
    "content-length": String(answer.bytes.length),
    vary: "origin, accept-encoding",
  });
  expect(answer.bytes.length).toBeLessThan(size / 10);
  const { displayTitle } = JSON.parse(decoders[encoding](answer.bytes).toString()) as {
    displayTitle: string;
  };
  expect(displayTitle).toHaveLength(size);
});

test.each([
  ["is small", "x", { "accept-encoding": "gzip" }],
  ["nobody asked to compress", "x".repeat(3_000), {}],
  ["somebody asked to leave alone", "x".repeat(3_000), { "accept-encoding": "gzip;q=0.0, deflate, *;q=0" }],
])("an answer that %s is plain", async (_what, title, headers) => {
  const answer = await post(title, headers);
  expect(answer.headers).not.toHaveProperty("content-encoding");
  expect(answer.json().displayTitle).toBe(title);
});

test("raw bytes of a backend are its own to compress", async () => {
  const body = "x".repeat(3_000);
  const answer = await sendRaw(shop.port, {
    method: "POST",
    target: "/v1/webhooks",
    headers: { "content-type": "text/plain", "accept-encoding": "gzip" },
    body,
  });
  expect([answer.headers["content-encoding"], answer.body]).toEqual([undefined, `|${body}`]);
});

test("an answer whose status has no body has none, over HTTP/1.1 and HTTP/2", async () => {
  const answer = await sendRaw(shop.port, { method: "DELETE", target: "/v1/books/a" });
  expect([answer.status, answer.body]).toEqual([204, ""]);
  for (const name of ["content-length", "content-type", "transfer-encoding"])
    expect(answer.headers).not.toHaveProperty(name);
  const stream = session.request({ ":method": "DELETE", ":path": "/v1/books/a" });
  const [headers] = await once(stream, "response");
  expect([headers[":status"], headers["content-type"]]).toEqual([204, undefined]);
  stream.resume();
  await once(stream, "close");
  expect(stream.rstCode).toBe(0);
});

test("who waits to be told to go on is told so, over HTTP/1.1 and HTTP/2", async () => {
  const answer = await post("", { expect: "100-continue" });
  // What the raw reader takes for the answer's body is the answer, behind the interim one.
  expect([answer.status, answer.body.slice(0, 12)]).toEqual([100, "HTTP/1.1 200"]);
  const stream = session.request({
    ":method": "POST",
    ":path": "/v1/books",
    "content-type": "application/json",
    expect: "100-continue",
  });
  const answered = once(stream, "response");
  await once(stream, "continue");
  stream.end('{"id":"a"}');
  const [headers] = await answered;
  expect(headers[":status"]).toBe(200);
  stream.resume();
});
