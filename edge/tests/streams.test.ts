import http, { type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Settled } from "#edge/edge.ts";
import { sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
const settled: Settled[] = [];

beforeAll(async () => {
  shop = await startTestEdge({ limits: { heartbeatMs: 40 }, onSettled: (facts) => settled.push(facts) });
});

afterAll(() => shop.stop());

const events = { accept: "text/event-stream" };

/** Opens a request and leaves its answer to the test. */
function open(target: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ port: shop.port, path: target, headers, agent: false }, resolve).on("error", reject);
  });
}

/** Reads until the text so far satisfies. */
async function readUntil(answer: IncomingMessage, satisfied: (text: string) => boolean): Promise<string> {
  let text = "";
  answer.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await eventually(() => satisfied(text));
  return text;
}

test("by default a stream is one JSON message a line", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books:watch?count=3" });
  expect(answer.headers["content-type"]).toBe("application/x-ndjson");
  const lines = answer.body
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string });
  expect(lines.map((line) => line.id)).toEqual(["0", "1", "2"]);
});

test("Accept asks for server-sent events", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books:watch?count=2", headers: events });
  expect(answer.headers).toMatchObject({ "content-type": "text/event-stream", "cache-control": "no-store" });
  expect(answer.body.match(/^data: \{.*\}\n$/gm)).toHaveLength(2);
});

test("an empty stream is an empty answer", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books:watch" });
  expect([answer.status, answer.body]).toEqual([200, ""]);
});

test("a stream that fails later ends with the problem as a line", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books:watch?count=1&failWith=5" });
  const last = JSON.parse(answer.body.trimEnd().split("\n").at(-1) ?? "") as { error: object };
  expect(answer.status).toBe(200);
  expect(last.error).toMatchObject({ status: 404, code: "NOT_FOUND", detail: "the stream broke" });
});

test("a stream that fails later ends with an event named error", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books:watch?count=1&failWith=13", headers: events });
  const [, problem = ""] = /event: error\ndata: (.*)\n\n$/.exec(answer.body) ?? [];
  expect(JSON.parse(problem)).toMatchObject({ status: 500, detail: "internal error" });
});

test("an idle event stream opens and is kept alive with comments", async () => {
  const answer = await open("/v1/books:watch?stayOpen=true", events);
  expect(answer.statusCode).toBe(200);
  const text = await readUntil(answer, (so) => so.split(": \n\n").length > 3);
  expect(text.replaceAll(": \n\n", "")).toBe("");
  answer.destroy();
  await eventually(() => shop.backend.facts.open === 0);
});

test("a caller who leaves ends the backend's stream", async () => {
  const before = shop.backend.facts.cancelled;
  const answer = await open("/v1/books:watch?count=1&stayOpen=true", events);
  await readUntil(answer, (text) => text.includes("data:"));
  answer.destroy();
  await eventually(() => shop.backend.facts.cancelled === before + 1 && shop.backend.facts.open === 0);
  await eventually(() =>
    settled.some((facts) => facts.httpStatus === 499 && facts.method?.name === "WatchBooks"),
  );
});

test("a caller who leaves calls off a unary call", async () => {
  const before = shop.backend.facts.cancelled;
  const request = http
    .get({ port: shop.port, path: "/v1/wait?waitMs=20000", agent: false })
    .on("error", () => undefined);
  await eventually(() => shop.backend.facts.open === 1);
  request.destroy();
  await eventually(() => shop.backend.facts.cancelled === before + 1 && shop.backend.facts.open === 0);
});

test("a slow reader holds the backend back", async () => {
  const before = shop.backend.facts.sent;
  const total = 1_500;
  const answer = await open(`/v1/books:watch?count=${total}&paddingBytes=20000`);
  answer.pause();
  let last = -1;
  let steadyPolls = 0;
  await eventually(() => {
    steadyPolls = shop.backend.facts.sent === last && last > before ? steadyPolls + 1 : 0;
    last = shop.backend.facts.sent;
    return steadyPolls > 60;
  });
  expect(shop.backend.facts.sent - before).toBeLessThan(total * 0.8);
  let lines = 0;
  answer.on("data", (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++;
  });
  answer.resume();
  await eventually(() => lines === total, 20_000);
}, 30_000);

test("the route's deadline ends a stream with the problem", async () => {
  const answer = await sendRaw(shop.port, {
    target: "/v1/books:watch?count=1&stayOpen=true",
    headers: { "connect-timeout-ms": "150" },
  });
  expect(answer.body).toContain('"reason":"DEADLINE_EXCEEDED"');
  await eventually(() => shop.backend.facts.open === 0);
});

const array = { accept: "application/json" };

test("Accept asks for one JSON array", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/shelves/top/notes:follow?count=3", headers: array });
  expect(answer.headers["content-type"]).toBe("application/json");
  expect((JSON.parse(answer.body) as { text: string }[]).map(({ text }) => text)).toEqual([
    "note 0",
    "note 1",
    "note 2",
  ]);
  const none = await sendRaw(shop.port, { target: "/v1/shelves/top/notes:follow", headers: array });
  expect(JSON.parse(none.body)).toEqual([]);
});

test("an array whose stream fails later ends with the problem as its last element", async () => {
  const target = "/v1/shelves/top/notes:follow?count=1&failWith=5";
  const answer = await sendRaw(shop.port, { target, headers: array });
  expect(JSON.parse(answer.body)).toMatchObject([{ text: "note 0" }, { error: { status: 404 } }]);
});

test("an idle array stays JSON while it is kept alive", async () => {
  const answer = await open("/v1/shelves/top/notes:follow?count=1&stayOpen=true", array);
  const text = await readUntil(answer, (so) => so.split("\n").length > 3);
  expect(JSON.parse(`${text}]`)).toMatchObject([{ text: "note 0" }]);
  answer.destroy();
});

test("one field of each message can be the stream", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/shelves/top/notes:texts?count=2" });
  expect(answer.body).toBe('"note 0"\n"note 1"\n');
});

test("HEAD of a stream sends its headers and calls it off", async () => {
  const answer = await sendRaw(shop.port, {
    method: "HEAD",
    target: "/v1/books:watch?count=1&stayOpen=true",
    headers: events,
  });
  expect([answer.status, answer.headers["content-type"], answer.body]).toEqual([
    200,
    "text/event-stream",
    "",
  ]);
  await eventually(() => shop.backend.facts.open === 0);
});
