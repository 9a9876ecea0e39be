import { once } from "node:events";
import http2 from "node:http2";
import { create, type Message } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEdge, createEdgeError, type Edge, type EdgeRequest, type LocalCall } from "#edge/edge.ts";
import {
  type Book,
  BookSchema,
  file_edge_testing_v1_library,
  LibraryService,
} from "#gen/edge/testing/v1/library_pb.ts";
import { sendRaw } from "./raw-http.ts";
import { eventually } from "./test-edge.ts";

const begun: string[] = [];
const aborted: string[] = [];

/** Answers by the id it is asked for. */
async function getBook(request: Message, call: LocalCall): Promise<Message> {
  const { id } = request as Book;
  if (id === "secret") throw new Error("hunter2");
  if (id === "gone")
    throw createEdgeError({ code: 5, reason: "BOOK_GONE", domain: "library", message: "It is gone." });
  if (id === "huge") return create(BookSchema, { name: "x".repeat(5_000) });
  if (id.startsWith("slow")) {
    begun.push(id);
    await once(call.signal, "abort");
    aborted.push(id);
    throw new Error("nobody waits for this");
  }
  const name = `${id} for ${call.metadata("x-reader") ?? "nobody"}`;
  return create(BookSchema, { name, pageCount: call.timeoutMs });
}

const manual = { contentType: "text/plain", bytes: Buffer.from("Read me."), headers: { "x-about": "all" } };

const long = { contentType: "text/plain", bytes: Buffer.from("Read me. ".repeat(1_000)) };
const documents = new Map([
  ["/manual", manual],
  ["/long", long],
]);

/** Refuses whoever is called a stranger, and tells which authority was meant. */
function onRequest(request: EdgeRequest): void {
  request.setHeader("x-authority", request.authority);
  if (request.header("x-stranger") === undefined) return;
  throw createEdgeError({ code: 7, reason: "STRANGER", message: "Not you." });
}

let edge: Edge;
let port: number;
beforeAll(async () => {
  edge = createEdge({
    registry: [file_edge_testing_v1_library],
    backendFor: () => ({ local: { getBook } }),
    policyFor: ({ name }) => ({
      exposed: name === "GetBook",
      maxTimeoutMs: 400,
      ignoredQueryParameters: ["ticket"],
    }),
    documentAt: (path) => documents.get(path),
    onRequest,
    limits: { maxResponseBytes: 1_000 },
  });
  ({ port } = await edge.listen({ host: "127.0.0.1", port: 0 }));
});
afterAll(() => edge.close());

const transports: readonly (readonly [string, () => Transport])[] = [
  ["Connect", () => createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" })],
  ["gRPC", () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` })],
];

const read = (id: string, headers: Record<string, string> = {}) =>
  sendRaw(port, { target: `/v1/books/${id}`, headers });

describe("a call that the gateway itself answers", () => {
  test("is answered over REST, with its metadata and its time", async () => {
    const answer = await read("tea", { "x-reader": "Ada" });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ name: "tea for Ada", pageCount: 400 });
  });

  test.each(transports)("is answered over %s, with its metadata", async (_name, make) => {
    const book = await createClient(LibraryService, make()).getBook(
      { id: "tea" },
      { headers: { "x-reader": "Ada" } },
    );
    expect(book.name).toBe("tea for Ada");
  });

  test.each(transports)("is refused over %s as its function refuses it", async (_name, make) => {
    const client = createClient(LibraryService, make());
    await expect(client.getBook({ id: "gone" })).rejects.toMatchObject({
      code: 5,
      rawMessage: "It is gone.",
    });
    const fault = await client.getBook({ id: "secret" }).catch((error: Error) => error);
    expect(fault).toMatchObject({ code: 13 });
    expect(String(fault)).not.toContain("hunter2");
    await expect(client.getBook({ id: "slow" })).rejects.toMatchObject({ code: 4 });
    await expect(client.getBook({ id: "huge" })).rejects.toMatchObject({ code: 13 });
  });

  test("is refused over REST as its function refuses it, a fault without its text", async () => {
    const gone = await read("gone");
    expect([gone.status, gone.json().reason, gone.json().domain]).toEqual([404, "BOOK_GONE", "library"]);
    const fault = await read("secret");
    expect([fault.status, fault.body.includes("hunter2")]).toEqual([500, false]);
    expect((await read("huge")).status).toBe(502);
  });

  test("ends with its deadline, and its function is told", async () => {
    expect((await read("slow-late")).status).toBe(504);
    await eventually(() => aborted.includes("slow-late"));
  });

  test("ends when its caller goes, and its function is told", async () => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":path": "/v1/books/slow-left" });
    stream.on("error", () => undefined);
    await eventually(() => begun.includes("slow-left"));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await eventually(() => aborted.includes("slow-left"));
    session.close();
  });

  test("needs a function, and must not be a stream", () => {
    const make = (exposed: string, local = {}) =>
      createEdge({
        registry: [file_edge_testing_v1_library],
        backendFor: () => ({ local }),
        policyFor: ({ name }) => ({ exposed: name === exposed }),
      });
    expect(() => make("GetBook")).toThrow("LibraryService.GetBook: no local function answers it");
    expect(() => make("WatchBooks", { watchBooks: getBook })).toThrow("cannot answer a stream");
  });
});

describe("a document beside the routes", () => {
  test("is answered with its headers, once more only where it has changed", async () => {
    const answer = await sendRaw(port, { target: "/manual" });
    expect([answer.status, answer.body]).toEqual([200, "Read me."]);
    expect(answer.headers).toMatchObject({ "content-type": "text/plain", "x-about": "all" });
    const headers = { "if-none-match": answer.headers.etag ?? "" };
    const again = await sendRaw(port, { target: "/manual", headers });
    expect([again.status, again.body]).toEqual([304, ""]);
    const head = await sendRaw(port, { method: "HEAD", target: "/manual" });
    expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", "8"]);
  });

  test("is compressed for who takes that, and tagged by what is sent", async () => {
    const ask = (encoding: string, tag = "") =>
      sendRaw(port, { target: "/long", headers: { "accept-encoding": encoding, "if-none-match": tag } });
    const [zipped, plain] = [await ask("br, gzip"), await ask("identity")];
    expect(zipped.headers["content-encoding"]).toBe("gzip");
    expect(Number(zipped.headers["content-length"])).toBeLessThan(long.bytes.length / 10);
    expect([plain.headers["content-encoding"], plain.body.length]).toEqual([undefined, long.bytes.length]);
    expect(plain.headers.etag).not.toBe(zipped.headers.etag);
    expect(plain.headers.vary).toContain("accept-encoding");
    expect((await ask("gzip;q=0")).headers["content-encoding"]).toBeUndefined();
    expect((await ask("gzip", zipped.headers.etag)).status).toBe(304);
  });

  test("is only read, and hides no route", async () => {
    const answer = await sendRaw(port, { method: "POST", target: "/manual", body: "x" });
    expect([answer.status, answer.headers.allow]).toEqual([405, "GET, HEAD"]);
    expect((await sendRaw(port, { target: "/manuals" })).status).toBe(404);
  });
});

describe("a request that is refused before it is routed", () => {
  test("is a problem over REST, also where there is no route", async () => {
    for (const target of ["/v1/books/tea", "/nowhere", "/manual"]) {
      const answer = await sendRaw(port, { target, headers: { "x-stranger": "1" } });
      expect([answer.status, answer.json().reason]).toEqual([403, "STRANGER"]);
    }
  });

  test.each(transports)("is an error over %s", async (_name, make) => {
    const headers = { "x-stranger": "1" };
    const call = createClient(LibraryService, make()).getBook({ id: "tea" }, { headers });
    await expect(call).rejects.toMatchObject({ code: 7 });
  });
});

test("the authority of a request is its target's, else its host's", async () => {
  const authorityOf = async (target: string) =>
    (await sendRaw(port, { target, headers: { host: "a.test:80" } })).headers["x-authority"];
  expect(await authorityOf("/v1/books/tea")).toBe("a.test:80");
  expect(await authorityOf("http://b.test:81/v1/books/tea")).toBe("b.test:81");
  expect(await authorityOf("http://b.test:81?x=/c")).toBe("b.test:81");
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":path": "/v1/books/tea", ":authority": "c.test" });
  const [headers] = await once(stream, "response");
  expect(headers["x-authority"]).toBe("c.test");
  session.close();
});

test("a query parameter that a method leaves to the hooks is no mistake, and any other is", async () => {
  expect((await read("tea?ticket=1")).status).toBe(200);
  expect((await read("tea?tickets=1")).status).toBe(400);
});
