import http2, { type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { createEdge, type Edge } from "#edge/edge.ts";
import { BookSchema, file_edge_testing_v1_library } from "#gen/edge/testing/v1/library_pb.ts";
import { type RawAnswer, sendRaw } from "./raw-http.ts";

type Behaviour = (stream: ServerHttp2Stream, attempt: number) => void;

let server: Http2Server;
let edge: Edge;
let port: number;
let attempts: number;

/** Puts an edge before a backend whose streams behave as told. */
async function behave(behaviour: Behaviour): Promise<void> {
  attempts = 0;
  server = http2.createServer();
  server.on("sessionError", () => undefined);
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined).resume();
    behaviour(stream, ++attempts);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  edge = createEdge({
    registry: [file_edge_testing_v1_library],
    backendFor: () => ({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
  });
  ({ port } = await edge.listen({ host: "127.0.0.1", port: 0 }));
}

afterEach(async () => {
  await edge.close();
  server.close();
});

const readBook = (): Promise<RawAnswer> => sendRaw(port, { target: "/v1/books/a" });
const createBook = (): Promise<RawAnswer> =>
  sendRaw(port, {
    method: "POST",
    target: "/v1/books",
    headers: { "content-type": "application/json" },
    body: "{}",
  });

const book = toBinary(BookSchema, create(BookSchema, { id: "a" }));

function frame(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function respond(
  stream: ServerHttp2Stream,
  body: Buffer,
  trailers: Record<string, string> = { "grpc-status": "0" },
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

test("an idempotent call whose connection is lost is sent once more", async () => {
  await behave((stream, attempt) =>
    attempt === 1 ? stream.session?.destroy() : respond(stream, frame(book)),
  );
  expect((await readBook()).status).toBe(200);
  expect(attempts).toBe(2);
});

test("it is not sent a third time", async () => {
  await behave((stream) => stream.session?.destroy());
  const answer = await readBook();
  expect([answer.status, answer.json().reason]).toEqual([503, "BACKEND_LOST"]);
  expect(attempts).toBe(2);
});

test("a call that is not idempotent is not sent again once it may have been seen", async () => {
  await behave((stream, attempt) =>
    attempt === 1 ? stream.session?.destroy() : respond(stream, frame(book)),
  );
  expect((await createBook()).status).toBe(503);
  expect(attempts).toBe(1);
});

test("a call that the backend refused unseen is sent once more, idempotent or not", async () => {
  await behave((stream, attempt) =>
    attempt === 1 ? stream.close(http2.constants.NGHTTP2_REFUSED_STREAM) : respond(stream, frame(book)),
  );
  expect((await createBook()).status).toBe(200);
  expect(attempts).toBe(2);
});

test("after GOAWAY the open call ends and the next has another connection", async () => {
  const sessions = new Set<unknown>();
  await behave((stream) => {
    sessions.add(stream.session);
    stream.session?.goaway(0);
    respond(stream, frame(book));
  });
  expect([(await readBook()).status, (await readBook()).status]).toEqual([200, 200]);
  expect(sessions.size).toBe(2);
});

const oddAnswers: [string, Behaviour, number, string][] = [
  ["a compressed answer", (stream) => respond(stream, frame(book, 1)), 502, "BACKEND_ANSWER_INVALID"],
  ["no message", (stream) => respond(stream, Buffer.alloc(0)), 502, "BACKEND_ANSWER_INVALID"],
  [
    "two messages",
    (stream) => respond(stream, Buffer.concat([frame(book), frame(book)])),
    502,
    "BACKEND_ANSWER_INVALID",
  ],
  ["half a message", (stream) => respond(stream, frame(book).subarray(0, 6)), 502, "BACKEND_ANSWER_INVALID"],
  [
    "bytes that are no such message",
    (stream) => respond(stream, frame(Buffer.from([0xff, 0xff, 0xff]))),
    502,
    "BACKEND_ANSWER_INVALID",
  ],
  [
    "a message announced as 4 GB",
    (stream) => respond(stream, Buffer.from([0, 255, 255, 255, 255, 0])),
    502,
    "RESPONSE_TOO_LARGE",
  ],
  [
    "HTTP 503 instead of gRPC",
    (stream) => stream.respond({ ":status": 503 }, { endStream: true }),
    503,
    "UNAVAILABLE",
  ],
  [
    "HTTP 404 instead of gRPC",
    (stream) => stream.respond({ ":status": 404 }, { endStream: true }),
    501,
    "UNIMPLEMENTED",
  ],
  [
    "a status that is no number",
    (stream) => respond(stream, frame(book), { "grpc-status": "fine" }),
    500,
    "UNKNOWN",
  ],
  [
    "a reset to calm down",
    (stream) => stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM),
    429,
    "BACKEND_LOST",
  ],
];

test.each(oddAnswers)("a backend that answers with %s", async (_what, behaviour, status, reason) => {
  await behave(behaviour);
  const answer = await createBook();
  expect([answer.status, answer.json().reason]).toEqual([status, reason]);
});

/** A status without an answer before it, as servers send it that fail at once. */
function refuse(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...trailers }, { endStream: true });
}

const unavailable = { "grpc-status": "14" };

test("an idempotent call answered UNAVAILABLE is sent once more", async () => {
  await behave((stream, attempt) =>
    attempt === 1 ? refuse(stream, unavailable) : respond(stream, frame(book)),
  );
  expect((await readBook()).status).toBe(200);
  expect(attempts).toBe(2);
});

test("where that is in vain, the caller is told not to repeat it, in each protocol", async () => {
  await behave((stream) => refuse(stream, unavailable));
  const rest = await readBook();
  expect([rest.status, rest.headers["grpc-retry-pushback-ms"], attempts]).toEqual([503, "-1", 2]);
  const post = (type: string, body: Buffer | string) =>
    sendRaw(port, {
      method: "POST",
      target: "/edge.testing.v1.LibraryService/GetBook",
      headers: { "content-type": type },
      body,
    });
  expect((await post("application/json", "{}")).headers["grpc-retry-pushback-ms"]).toBe("-1");
  expect((await post("application/grpc-web+proto", Buffer.alloc(5))).body).toContain(
    "grpc-retry-pushback-ms: -1\r\n",
  );
});

test("a backend that says never, or when, is obeyed", async () => {
  await behave((stream) => refuse(stream, { ...unavailable, "grpc-retry-pushback-ms": "-1" }));
  const never = await readBook();
  expect([never.status, never.headers["grpc-retry-pushback-ms"], attempts]).toEqual([503, "-1", 1]);
  await edge.close();
  server.close();
  const askedAtMs: number[] = [];
  await behave((stream, attempt) => {
    askedAtMs.push(performance.now());
    if (attempt === 1) refuse(stream, { ...unavailable, "grpc-retry-pushback-ms": "300" });
    else respond(stream, frame(book));
  });
  expect((await readBook()).status).toBe(200);
  expect((askedAtMs[1] ?? 0) - (askedAtMs[0] ?? 0)).toBeGreaterThan(290);
});

test("a call that is not idempotent is not repeated for an UNAVAILABLE", async () => {
  await behave((stream) => refuse(stream, unavailable));
  const answer = await createBook();
  expect([answer.status, answer.headers["grpc-retry-pushback-ms"], attempts]).toEqual([503, undefined, 1]);
});

test("retries have a budget: a backend in trouble is not asked twice for everything", async () => {
  await behave((stream) => refuse(stream, unavailable));
  for (let at = 0; at < 15; at++) await readBook();
  expect(attempts).toBeLessThanOrEqual(15 + 10);
});

test("a backend that fails again and again is left alone, asked now and then, and used when it is back", async () => {
  let healthy = false;
  await behave((stream) => (healthy ? respond(stream, frame(book)) : refuse(stream, unavailable)));
  let resting: RawAnswer | undefined;
  for (let at = 0; at < 60 && resting === undefined; at++) {
    const answer = await createBook();
    if (answer.json().reason === "BACKEND_RESTING") resting = answer;
  }
  expect([resting?.status, resting?.headers["retry-after"]]).toEqual([503, "1"]);
  const asked = attempts;
  const answers = await Promise.all(Array.from({ length: 40 }, () => createBook()));
  expect(answers.every(({ status }) => status === 503)).toBe(true);
  expect(attempts - asked).toBeLessThanOrEqual(8);
  healthy = true;
  await expect.poll(async () => (await createBook()).status, { timeout: 10_000 }).toBe(200);
  expect((await Promise.all([createBook(), createBook(), createBook()])).map(({ status }) => status)).toEqual(
    [200, 200, 200],
  );
});

test.each(["application/grpc", "application/connect+proto"])(
  "a backend that is done before its caller has sent all ends the call (%s)",
  async (contentType) => {
    const closed: unknown[] = [];
    await behave((stream) => {
      stream.on("close", () => closed.push(stream.id));
      respond(stream, Buffer.alloc(0), { "grpc-status": "5" });
    });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const path = "/edge.testing.v1.LibraryService/Chat";
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": contentType });
    stream
      .on("error", () => undefined)
      .resume()
      .write(frame(book));
    await new Promise((resolve) => stream.once("end", resolve));
    await expect.poll(() => closed.length).toBe(1);
    session.destroy();
  },
);

test("details of google.rpc.Status are lifted into the problem", async () => {
  const { encodeStatusDetails } = await import("#edge/grpc/status-details.ts");
  const { EdgeError } = await import("#edge/edge-error.ts");
  const details = encodeStatusDetails(
    new EdgeError({
      code: 3,
      reason: "BAD_QUANTITY",
      domain: "souk",
      message: "no",
      metadata: { max: "9" },
      retryAfterMs: 2_500,
      violations: [{ field: "line_items[0].unit_count", description: "too many", reason: "MAX" }],
    }),
  );
  await behave((stream) =>
    respond(stream, Buffer.alloc(0), {
      "grpc-status": "3",
      "grpc-message": "caf%C3%A9",
      "grpc-status-details-bin": Buffer.from(details).toString("base64"),
    }),
  );
  const answer = await createBook();
  expect(answer.headers["retry-after"]).toBe("3");
  expect(answer.json()).toEqual({
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "café",
    code: "INVALID_ARGUMENT",
    reason: "BAD_QUANTITY",
    domain: "souk",
    metadata: { max: "9" },
    retryAfterMs: 2500,
    violations: [{ field: "lineItems[0].unitCount", description: "too many", reason: "MAX" }],
  });
});
