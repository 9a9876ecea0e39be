import http from "node:http";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RawAnswer, type RawRequest, sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;

beforeAll(async () => {
  shop = await startTestEdge({ policyFor: () => ({ maxRequestBytes: 200_000 }) });
});

afterAll(() => shop.stop());

const json = { "content-type": "application/json" };
const send = (
  target: string,
  body: string | Buffer,
  headers: Record<string, string> = json,
): Promise<RawAnswer> => sendRaw(shop.port, { method: "POST", target, body, headers } satisfies RawRequest);
const textsOf = (answer: RawAnswer) => (answer.json().notes as { text: string }[]).map(({ text }) => text);

test.each([
  ["lines", '{"text":"a"}\n{"text":"b"}\n'],
  ["nothing between", '{"text":"a"}{"text":"b"}'],
  ["one array", '[{"text":"a"},\n {"text":"b"}]'],
  ["NDJSON by its type", '{"text":"a"}\n{"text":"b"}', { "content-type": "application/x-ndjson" }],
  ["gzip", gzipSync('{"text":"a"}{"text":"b"}'), { ...json, "content-encoding": "gzip" }],
  [
    "gzip in brotli",
    brotliCompressSync(gzipSync('[{"text":"a"},{"text":"b"}]')),
    { ...json, "content-encoding": "gzip, br" },
  ],
] as [string, string | Buffer, Record<string, string>?][])(
  "R8: a caller's stream as %s",
  async (_form, body, headers) => {
    const answer = await send("/v1/notes:collect", body, headers);
    expect([answer.status, answer.status === 200 ? textsOf(answer) : answer.body]).toEqual([200, ["a", "b"]]);
  },
);

test("R8: an empty body and an empty array are no messages", async () => {
  expect(textsOf(await send("/v1/notes:collect", ""))).toEqual([]);
  expect(textsOf(await send("/v1/notes:collect", "[]"))).toEqual([]);
});

test("R8: without a body the query is the one message", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/notes:single?text=a" });
  expect(textsOf(answer)).toEqual(["a"]);
});

test("R8: a named body, and the query in every message", async () => {
  const answer = await send("/v1/notes:texts?shelf=top", '"a" "b"');
  expect(JSON.parse(answer.body)).toMatchObject([
    { text: "a", shelf: "top" },
    { text: "b", shelf: "top" },
  ]);
});

/** Opens a stream in both directions. */
function converse() {
  const request = http.request({
    port: shop.port,
    method: "POST",
    path: "/v1/notes:converse",
    headers: json,
    agent: false,
  });
  const seen: string[] = [];
  request.on("error", () => undefined);
  request.on("response", (answer) => answer.on("data", (chunk: Buffer) => seen.push(chunk.toString())));
  request.flushHeaders();
  return { request, text: () => seen.join("") };
}

test("R8: messages reach the backend before the body ends, and its answers the caller", async () => {
  const { request, text } = converse();
  await eventually(() => text().includes("welcome"));
  request.write('{"text":"on');
  request.write('e"}');
  await eventually(() => text().includes("you said one"));
  request.write('{"text":"two"}');
  await eventually(() => text().includes("you said two"));
  request.end();
  await eventually(() => shop.streams.size === 0);
});

test("a caller who leaves in mid-stream ends the backend's call", async () => {
  const { request } = converse();
  await eventually(() => shop.streams.size === 1);
  request.destroy();
  await eventually(() => shop.streams.size === 0);
});

test.each([
  ["a message that is none", '{"text":"a"}{"text":5}', 400, "INVALID_VALUE"],
  ["a body that breaks off", '[{"text":"a"}', 400, "INVALID_JSON"],
  ["a member given twice", '{"text":"a","text":"b"}', 400, "DUPLICATE_MEMBER"],
  ["a message that is too large", `{"text":"${"a".repeat(300_000)}"}`, 413, "REQUEST_TOO_LARGE"],
])("R8: %s is refused and calls the backend off", async (_what, body, status, reason) => {
  const answer = await send("/v1/notes:collect", body);
  expect([answer.status, answer.json().reason]).toEqual([status, reason]);
  await eventually(() => shop.streams.size === 0);
});

test("many messages may together be larger than one may be", async () => {
  const answer = await send("/v1/notes:collect", `{"text":"${"a".repeat(1_000)}"}`.repeat(1_000));
  expect(textsOf(answer)).toHaveLength(1_000);
});

test("R9: what the backend refuses in mid-stream is an HTTP status", async () => {
  const answer = await send("/v1/notes:collect", '{"text":"a"}{"failWith":5}{"text":"b"}');
  expect([answer.status, answer.json().code]).toEqual([404, "NOT_FOUND"]);
});

test("R10: a message that is none, after the answer has begun, is its last line", async () => {
  const { request, text } = converse();
  await eventually(() => text().includes("welcome"));
  request.end("nope ");
  await eventually(() => text().includes("INVALID_JSON"));
  expect(JSON.parse(text().trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ error: { status: 400 } });
  await eventually(() => shop.streams.size === 0);
});

test("B9, B10: other types and broken encodings are refused", async () => {
  expect((await send("/v1/notes:collect", "a=b", { "content-type": "text/plain" })).status).toBe(415);
  expect(
    (await send("/v1/notes:collect", "{}", { ...json, "content-encoding": "gzip" })).json(),
  ).toMatchObject({
    status: 400,
    reason: "INVALID_ENCODING",
  });
});

test("B13: raw bytes come in parts no larger than a message may be, their type and name in the first", async () => {
  const answer = await send("/v1/files:receive?name=photo", Buffer.alloc(700_000, 7), {
    "content-type": "image/png",
  });
  const { partCount, largestPartBytes, ...facts } = answer.json();
  expect(facts).toEqual({ name: "photo", contentType: "image/png", sizeBytes: "700000", repeatedFacts: "" });
  expect(partCount).toBeGreaterThan(3);
  expect(largestPartBytes).toBeLessThanOrEqual(200_000);
});

test("B13: an empty raw body still says its name", async () => {
  const answer = await send("/v1/files:receive?name=nothing", "", { "content-type": "image/png" });
  expect(answer.json()).toMatchObject({ name: "nothing", sizeBytes: "0", partCount: 1 });
});
