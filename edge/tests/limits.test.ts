import http2 from "node:http2";
import net from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createEdge, createEdgeError, type EdgeOptions, type Settled } from "#edge/edge.ts";
import { file_edge_testing_v1_library } from "#gen/edge/testing/v1/library_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { exchangeBytes, sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
const settled: Settled[] = [];

const options: Partial<EdgeOptions> = {
  limits: { maxRequestBytes: 2_000, headersTimeoutMs: 500, requestTimeoutMs: 1_500, drainTimeoutMs: 2_000 },
  cors: { origins: ["https://shop.test"] },
  policyFor: (method) => (method.name === "CreateBook" ? { httpStatus: 202 } : {}),
  onRequest: (request) => request.setHeader("x-correlation-id", request.header("x-correlation-id") ?? "made"),
  problem: (problem, request) => ({ ...problem, instance: `urn:target:${request.target}` }),
  onSettled: (facts) => settled.push(facts),
  admit: (call) => {
    const wait = call.header("x-admit");
    if (wait === undefined) return undefined;
    return Promise.resolve().then(() => {
      if (wait === "no") {
        throw createEdgeError({
          code: 8,
          reason: "TOO_MANY",
          message: "slow down",
          domain: "shop",
          retryAfterMs: 1_500,
        });
      }
    });
  },
};

beforeAll(async () => {
  shop = await startTestEdge(options);
});

afterAll(() => shop.stop());

afterEach(async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/books/still-there" });
  expect(answer.status).toBe(200);
});

const json = { "content-type": "application/json" };

test("a body above the limit is 413, announced or not", async () => {
  const body = JSON.stringify({ displayTitle: "x".repeat(3_000) });
  const announced = await sendRaw(shop.port, { method: "POST", target: "/v1/books", headers: json, body });
  const chunked = await exchangeBytes(
    shop.port,
    `POST /v1/books HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  );
  for (const answer of [announced, chunked]) {
    expect([answer.status, answer.json().reason]).toEqual([413, "REQUEST_TOO_LARGE"]);
  }
});

test("a success has the status of its policy", async () => {
  const answer = await sendRaw(shop.port, {
    method: "POST",
    target: "/v1/books",
    headers: json,
    body: '{"id":"a"}',
  });
  expect(answer.status).toBe(202);
});

test("admission may take time, and may refuse with a time to wait", async () => {
  const admitted = await sendRaw(shop.port, {
    method: "POST",
    target: "/v1/books",
    headers: { ...json, "x-admit": "yes" },
    body: '{"id":"a"}',
  });
  expect(admitted.json().id).toBe("a");
  const refused = await sendRaw(shop.port, { target: "/v1/books/a", headers: { "x-admit": "no" } });
  expect(refused.status).toBe(429);
  expect(refused.headers).toMatchObject({ "retry-after": "2", "x-correlation-id": "made" });
  expect(refused.json()).toMatchObject({
    reason: "TOO_MANY",
    domain: "shop",
    retryAfterMs: 1500,
    instance: "urn:target:/v1/books/a",
  });
});

test("every request is reported once, with what became of it", async () => {
  settled.length = 0;
  await sendRaw(shop.port, { target: "/v1/books/a" });
  await sendRaw(shop.port, { target: "/v1/nope" });
  expect(settled).toMatchObject([
    { httpStatus: 200, code: 0, route: { template: "/v1/books/{id}" }, request: { protocol: "rest" } },
    { httpStatus: 404, reason: "ROUTE_NOT_FOUND", route: undefined },
  ]);
  expect(settled[0]?.responseBytes).toBeGreaterThan(0);
});

test("an allowed origin gets its headers, also beside a problem", async () => {
  const answer = await sendRaw(shop.port, { target: "/v1/fail/5", headers: { origin: "https://shop.test" } });
  expect(answer.headers).toMatchObject({
    "access-control-allow-origin": "https://shop.test",
    vary: "origin",
  });
});

test("a foreign origin gets none", async () => {
  const answer = await sendRaw(shop.port, {
    target: "/v1/books/a",
    headers: { origin: "https://evil.test" },
  });
  expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
});

test("a preflight is answered for allowed origins only", async () => {
  const ask = { "access-control-request-method": "PUT", "access-control-request-headers": "authorization" };
  const allowed = await sendRaw(shop.port, {
    method: "OPTIONS",
    target: "/v1/books/a",
    headers: { origin: "https://shop.test", ...ask },
  });
  expect(allowed.status).toBe(204);
  expect(allowed.headers["access-control-allow-methods"]).toContain("PUT");
  const foreign = await sendRaw(shop.port, {
    method: "OPTIONS",
    target: "/v1/books/a",
    headers: { origin: "https://evil.test", ...ask },
  });
  expect(foreign.headers).not.toHaveProperty("access-control-allow-methods");
});

const oneAnswer: [string, string, number[]][] = [
  ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n", [400]],
  ["an asterisk target", "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", [204]],
  [
    "gRPC over HTTP/1.1",
    "POST /edge.testing.v1.LibraryService/GetBook HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/grpc\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
    [415],
  ],
];

test.each(oneAnswer)("%s has its answer", async (_what, bytes, statuses) => {
  const answer = await exchangeBytes(shop.port, Buffer.from(bytes, "latin1"));
  expect(statuses).toContain(answer.status);
});

/** Opens a connection, sends bytes and resolves with the time until the edge closes it. */
function closedAfter(bytes: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    const socket = net.connect(shop.port, "127.0.0.1", () => socket.write(bytes));
    socket
      .on("error", reject)
      .on("data", () => undefined)
      .on("close", () => resolve(Date.now() - startedMs));
  });
}

test("frames that are no HTTP/2 end their connection only", async () => {
  expect(await closedAfter(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\xff".repeat(200)}`)).toBeLessThan(4_500);
});

test("REST works over HTTP/2", async () => {
  const session = http2.connect(`http://127.0.0.1:${shop.port}`);
  const stream = session.request({ ":path": "/v1/books/a%2Fb?revision=2" });
  const [headers] = (await new Promise<unknown[]>((resolve) =>
    stream.once("response", (...given) => resolve(given)),
  )) as [http2.IncomingHttpHeaders];
  let body = "";
  for await (const chunk of stream) body += chunk;
  session.close();
  expect(headers[":status"]).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ id: "a/b", pageCount: 2 });
});

test("a backend that restarts is found again, and an idempotent call outlives it", async () => {
  let backend: Backend = await startBackend();
  const { port: backendPort } = backend;
  const edge = createEdge({
    ...shopOptions(),
    backendFor: () => ({ address: `http://127.0.0.1:${backendPort}` }),
  });
  const { port } = await edge.listen({ host: "127.0.0.1", port: 0 });
  expect((await sendRaw(port, { target: "/v1/books/a" })).status).toBe(200);

  backend.kill();
  const down = await sendRaw(port, { target: "/v1/books/a" });
  expect([down.status, down.json().reason, down.json().code]).toEqual([
    503,
    "BACKEND_UNREACHABLE",
    "UNAVAILABLE",
  ]);

  backend = await startBackend({ port: backendPort });
  let status = 0;
  const startedMs = Date.now();
  while (status !== 200 && Date.now() - startedMs < 3_000)
    status = (await sendRaw(port, { target: "/v1/books/a" })).status;
  expect(status).toBe(200);
  expect(Date.now() - startedMs).toBeLessThan(2_000);
  await edge.close();
  backend.kill();
}, 15_000);

test("a call in flight when the backend dies is 503 and is not repeated", async () => {
  const backend = await startBackend();
  const edge = createEdge({
    ...shopOptions(),
    backendFor: () => ({ address: `http://127.0.0.1:${backend.port}` }),
  });
  const { port } = await edge.listen({ host: "127.0.0.1", port: 0 });
  const answer = sendRaw(port, { target: "/v1/wait?waitMs=20000" });
  await eventually(() => backend.facts.open === 1);
  backend.kill();
  expect((await answer).status).toBe(503);
  await edge.close();
});

test("draining ends idle connections, lets calls end and takes no more", async () => {
  const test = await startTestEdge(options);
  const idle = net.connect(test.port, "127.0.0.1");
  const idleClosed = new Promise((resolve) => idle.once("close", resolve));
  idle.write("GET /v1/books/a HTTP/1.1\r\nhost: a\r\n\r\n");
  await new Promise((resolve) => idle.once("data", resolve));
  const slow = sendRaw(test.port, { target: "/v1/wait?waitMs=300" });
  await eventually(() => test.backend.facts.open === 1);
  const drained = test.edge.drain();
  expect((await slow).status).toBe(200);
  await Promise.all([drained, idleClosed]);
  await expect(sendRaw(test.port, { target: "/v1/books/a" })).rejects.toThrow();
  await test.stop();
});

test("an edge that lingers serves whoever comes meanwhile, and sends each to another connection", async () => {
  const test = await startTestEdge({ limits: { ...options.limits, drainLingerMs: 1_000 } });
  const kept = net.connect(test.port, "127.0.0.1");
  let heard = "";
  kept.on("data", (bytes) => (heard += bytes));
  const keptClosed = new Promise((resolve) => kept.once("close", resolve));
  const ask = () => kept.write("GET /v1/books/a HTTP/1.1\r\nhost: a\r\n\r\n");
  const answers = () => heard.match(/HTTP\/1.1 200/g)?.length ?? 0;
  ask();
  await eventually(() => answers() === 1);
  const session = http2.connect(`http://127.0.0.1:${test.port}`);
  const sentAway = new Promise((resolve) => session.once("goaway", (...told) => resolve(told.slice(0, 2))));
  const first = session.request({ ":path": "/v1/books/a" }).resume();
  await new Promise((resolve) => first.once("end", resolve));
  const drained = test.edge.drain();
  expect(await sentAway).toEqual([http2.constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1]);
  ask();
  await eventually(() => answers() === 2);
  expect(heard.toLowerCase()).toContain("connection: close");
  expect((await sendRaw(test.port, { target: "/v1/books/a" })).status).toBe(200);
  await Promise.all([drained, keptClosed]);
  await expect(sendRaw(test.port, { target: "/v1/books/a" })).rejects.toThrow();
  await test.stop();
});

test("draining does not wait for connections that have never sent anything", async () => {
  const test = await startTestEdge({ limits: { headersTimeoutMs: 20_000, drainTimeoutMs: 20_000 } });
  const silent = net.connect(test.port, "127.0.0.1");
  const silentClosed = new Promise((resolve) => silent.once("close", resolve));
  await new Promise((resolve) => silent.once("connect", resolve));
  expect((await sendRaw(test.port, { target: "/v1/books/a" })).status).toBe(200);
  const startedAtMs = performance.now();
  await Promise.all([test.edge.drain(), silentClosed]);
  expect(performance.now() - startedAtMs).toBeLessThan(5_000);
  await test.stop();
});

test("more calls than a backend may have in flight are refused as overloaded", async () => {
  const busy = await startTestEdge({ limits: { maxInFlightPerBackend: 2 } });
  const held = [1, 2].map(() => sendRaw(busy.port, { target: "/v1/wait?waitMs=500" }));
  await eventually(() => busy.backend.facts.open === 2);
  const third = await sendRaw(busy.port, { target: "/v1/books/a" });
  expect([third.status, third.json().reason]).toEqual([503, "OVERLOADED"]);
  expect((await Promise.all(held)).map((answer) => answer.status)).toEqual([200, 200]);
  await busy.stop();
});

function shopOptions(): Omit<EdgeOptions, "backendFor"> {
  return { registry: [file_edge_testing_v1_library] };
}
