import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createEdgeError, type Settled } from "#edge/edge.ts";
import { sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
const settled: Settled[] = [];

beforeAll(async () => {
  shop = await startTestEdge({
    policyFor: () => ({ maxRequestBytes: 10_000 }),
    cors: { origins: ["https://front.test"] },
    onRequest: (request) => request.setHeader("x-request", "seen"),
    admit(call) {
      if (call.header("x-closed") === undefined) return undefined;
      throw createEdgeError({
        code: 16,
        reason: "CLOSED",
        message: "no",
        headers: { "www-authenticate": "Bearer" },
      });
    },
    onSettled: (facts) => settled.push(facts),
  });
});

afterAll(() => shop.stop());

interface Talk {
  readonly socket: WebSocket;
  readonly frames: string[];
  /** The code it was closed with; undefined while it is open. */
  code(): number | undefined;
  headers(): Record<string, unknown>;
}

/** Opens a WebSocket and waits until it is open. */
async function talk(
  path: string,
  headers: Record<string, string> = {},
  port: number = shop.port,
): Promise<Talk> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  const frames: string[] = [];
  let code: number | undefined;
  let answered: Record<string, unknown> = {};
  socket.on("message", (data: Buffer) => frames.push(data.toString()));
  socket.on("close", (closed) => {
    code = closed;
  });
  socket.on("upgrade", (response) => {
    answered = response.headers;
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return { socket, frames, code: () => code, headers: () => answered };
}

const textsOf = ({ frames }: Talk) => frames.map((frame) => (JSON.parse(frame) as { text: string }).text);

test("R6: a server stream is a frame for each message and a close at its end", async () => {
  const follow = await talk("/v1/shelves/top/notes:follow?count=2");
  await eventually(() => follow.code() === 1000);
  expect(textsOf(follow)).toEqual(["note 0", "note 1"]);
  expect(follow.headers()).toMatchObject({ "x-request": "seen" });
  expect(settled.at(-1)).toMatchObject({ httpStatus: 101, code: 0 });
});

test("R6: where the route maps a body, the first frame is it", async () => {
  const follow = await talk("/v1/notes:follow");
  follow.socket.send('{"count":1,"shelf":"low"}');
  await eventually(() => follow.code() === 1000);
  expect(JSON.parse(follow.frames[0] ?? "")).toMatchObject({ text: "note 0", shelf: "low" });
});

test.each(["/v1/notes:converse", "/v1/notes:talk?shelf=top"])(
  "R6, R8: both sides talk at once over %s",
  async (path) => {
    const both = await talk(path);
    await eventually(() => both.frames.length === 1);
    both.socket.send('{"text":"one"}');
    await eventually(() => both.frames.length === 2);
    both.socket.send(Buffer.from('{"text":"two"}'));
    await eventually(() => both.frames.length === 3);
    both.socket.send("");
    await eventually(() => both.code() === 1000);
    expect(textsOf(both)).toEqual(["welcome", "you said one", "you said two"]);
  },
);

test("R8: an empty frame ends a caller's stream, and the answer is one frame", async () => {
  const collect = await talk("/v1/notes:collect");
  for (const text of ["a", "b"]) collect.socket.send(JSON.stringify({ text }));
  collect.socket.send("");
  await eventually(() => collect.code() === 1000);
  expect(JSON.parse(collect.frames[0] ?? "")).toMatchObject({ notes: [{ text: "a" }, { text: "b" }] });
});

test("R10: a failure is a last frame and its status in the close", async () => {
  const follow = await talk("/v1/shelves/top/notes:follow?count=1&failWith=5");
  await eventually(() => follow.code() === 4005);
  expect(JSON.parse(follow.frames[1] ?? "")).toMatchObject({ error: { status: 404, code: "NOT_FOUND" } });
});

test.each([
  ["that is no JSON", "nope", "INVALID_JSON"],
  ["that is no such message", '{"text":5}', "INVALID_VALUE"],
  ["with a member given twice", '{"text":"a","text":"b"}', "DUPLICATE_MEMBER"],
])("a frame %s ends the stream with a problem", async (_what, frame, reason) => {
  const both = await talk("/v1/notes:converse");
  both.socket.send(frame);
  await eventually(() => both.code() === 4003);
  expect(JSON.parse(both.frames.at(-1) ?? "")).toMatchObject({ error: { status: 400, reason } });
  await eventually(() => shop.streams.size === 0);
});

test("frames are not taken from a caller who has nothing to say", async () => {
  const follow = await talk("/v1/shelves/top/notes:follow?stayOpen=true");
  follow.socket.send("{}");
  await eventually(() => follow.code() === 4003);
  expect(JSON.parse(follow.frames[0] ?? "")).toMatchObject({ error: { reason: "UNEXPECTED_MESSAGE" } });
});

test("a frame larger than the method's limit closes the connection", async () => {
  const both = await talk("/v1/notes:converse");
  both.socket.send(JSON.stringify({ text: "a".repeat(20_000) }));
  await eventually(() => both.code() === 1009 && shop.streams.size === 0);
});

test("a caller who leaves ends the backend's stream", async () => {
  const follow = await talk("/v1/shelves/top/notes:follow?count=1&stayOpen=true");
  await eventually(() => shop.streams.size === 1 && follow.frames.length === 1);
  follow.socket.terminate();
  await eventually(() => shop.streams.size === 0);
  await eventually(() => settled.at(-1)?.code === 1);
});

test("an idle stream lives as long as its caller answers pings", async () => {
  const test = await startTestEdge({ limits: { heartbeatMs: 500 } });
  const follow = await talk("/v1/shelves/top/notes:follow?stayOpen=true", {}, test.port);
  let pings = 0;
  follow.socket.on("ping", () => pings++);
  await eventually(() => pings > 1);
  expect(follow.code()).toBeUndefined();
  follow.socket.pause();
  await eventually(() => test.streams.size === 0);
  follow.socket.terminate();
  await test.stop();
});

test("a caller who never says what it came for is sent away", async () => {
  const test = await startTestEdge({ limits: { requestTimeoutMs: 200, headersTimeoutMs: 200 } });
  const silent = await talk("/v1/notes:follow", {}, test.port);
  await eventually(() => silent.code() === 4001);
  expect(JSON.parse(silent.frames[0] ?? "")).toMatchObject({ error: { status: 408 } });
  await test.stop();
});

const handshake = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const ask = (target: string, headers: Record<string, string> = {}) =>
  sendRaw(shop.port, { target, headers: { ...handshake, ...headers } });

test("who may not call gets an HTTP answer", async () => {
  const answer = await ask("/v1/notes:talk", { "x-closed": "1" });
  expect([answer.status, answer.headers["www-authenticate"], answer.headers["x-request"]]).toEqual([
    401,
    "Bearer",
    "seen",
  ]);
  expect(answer.json()).toMatchObject({ reason: "CLOSED", code: "UNAUTHENTICATED" });
});

test.each([
  ["another site's page", "https://evil.test", 403],
  ["a page of no site", "null", 403],
  ["a page that names the port of another", "http://shop.test:81", 403],
])("%s may not open a stream", async (_who, origin, status) => {
  const answer = await ask("/v1/notes:talk", { origin });
  expect([answer.status, answer.json().reason]).toEqual([status, "ORIGIN_NOT_ALLOWED"]);
});

test.each([
  ["an allowed site", "https://front.test"],
  ["the edge's own site", "https://shop.test"],
])("a page of %s may open a stream", async (_who, origin) => {
  const follow = await talk("/v1/shelves/top/notes:follow?count=1", { origin, host: "shop.test" });
  await eventually(() => follow.code() === 1000);
});

test("a handshake that is none is refused", async () => {
  expect((await ask("/v1/notes:talk", { "sec-websocket-key": "short" })).status).toBe(400);
  expect((await ask("/v1/notes:talk", { "sec-websocket-version": "99" })).status).toBe(400);
});

test("an edge that drains sends its callers elsewhere", async () => {
  const test = await startTestEdge({ limits: { drainTimeoutMs: 20_000 } });
  const socket = new WebSocket(`ws://127.0.0.1:${test.port}/v1/shelves/top/notes:follow?stayOpen=true`);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("open", resolve));
  await eventually(() => test.streams.size === 1);
  await test.edge.drain();
  expect(await closed).toBe(1001);
  await test.stop();
});

test.each([
  ["a route that does not stream", "/v1/books/a", {}, 200],
  ["a path that is none", "/v2/nope", {}, 404],
  ["another protocol", "/v1/books/a", { upgrade: "h2c", "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA" }, 200],
  ["a target that is too long", `/v1/notes:talk?text=${"a".repeat(9_000)}`, {}, 414],
])("an upgrade to %s is an ordinary request", async (_what, target, headers, status) => {
  expect((await ask(target, { ...headers, connection: "Upgrade, close" })).status).toBe(status);
});
