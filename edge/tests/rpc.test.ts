import http2 from "node:http2";
import zlib from "node:zlib";
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEdgeError, type Settled } from "#edge/edge.ts";
import {
  type Book,
  BookSchema,
  GetBookRequestSchema,
  WaitForCancelRequestSchema,
  WatchBooksRequestSchema,
} from "#gen/edge/testing/v1/library_pb.ts";
import { libraryDefinition } from "./backend.ts";
import { type RawAnswer, sendRaw } from "./raw-http.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
const settled: Settled[] = [];

beforeAll(async () => {
  shop = await startTestEdge({
    limits: { maxRequestBytes: 10_000 },
    onSettled: (facts) => settled.push(facts),
    admit: (call) => {
      if (call.header("x-banned") !== undefined)
        throw createEdgeError({
          code: 7,
          reason: "BANNED",
          message: "you are banned",
          headers: { "x-why": "banned" },
        });
    },
  });
});
afterAll(() => shop.stop());

const path = (method: string) => `/edge.testing.v1.LibraryService/${method}`;
const getBook = Buffer.from(toBinary(GetBookRequestSchema, create(GetBookRequestSchema, { id: "a" })));
const bookA = create(BookSchema, { id: "a" });

function frame(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts a body into its envelopes. */
function framesOf(body: Buffer): { flags: number; bytes: Buffer }[] {
  const frames = [];
  for (let at = 0; at < body.length; ) {
    const size = body.readUInt32BE(at + 1);
    frames.push({ flags: body[at] ?? 0, bytes: body.subarray(at + 5, at + 5 + size) });
    at += 5 + size;
  }
  return frames;
}

const post = (
  method: string,
  type: string,
  body: Buffer | string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> =>
  sendRaw(shop.port, {
    method: "POST",
    target: path(method),
    headers: { "content-type": type, ...headers },
    body,
  });

describe("a unary Connect call", () => {
  test("takes protobuf and JSON, and answers in kind", async () => {
    const proto = await post("GetBook", "application/proto", getBook);
    expect(proto.headers["content-type"]).toBe("application/proto");
    expect(fromBinary(BookSchema, proto.bytes)).toEqual(bookA);
    const json = await post("GetBook", "application/json; charset=utf-8", '{"id":"a","later":1}');
    expect([json.headers["content-type"], json.body]).toEqual(["application/json", '{"id":"a"}']);
    expect((await post("GetBook", "application/json", "")).body).toBe("{}");
  });

  test("passes protobuf on as it is: what the edge does not know reaches the backend, and comes back", async () => {
    const unknown = Buffer.concat([
      Buffer.from(toBinary(BookSchema, bookA)),
      Buffer.from([0xfa, 0x3f, 1, 120]),
    ]);
    expect((await post("CreateBook", "application/proto", unknown)).bytes).toEqual(unknown);
    const broken = await post("GetBook", "application/proto", Buffer.from([0xff]));
    expect(broken.status).toBeGreaterThanOrEqual(400);
    expect(broken.json().details).toBeUndefined();
  });

  test.each(["gzip", "br", "zstd"])(
    "may be compressed by %s, and is answered so where that is worth it",
    async (encoding) => {
      const compress = { gzip: zlib.gzipSync, br: zlib.brotliCompressSync, zstd: zlib.zstdCompressSync }[
        encoding
      ] as (bytes: Buffer) => Buffer;
      const decompress = {
        gzip: zlib.gunzipSync,
        br: zlib.brotliDecompressSync,
        zstd: zlib.zstdDecompressSync,
      }[encoding] as (bytes: Buffer) => Buffer;
      const book = Buffer.from(toBinary(BookSchema, create(BookSchema, { displayTitle: "x".repeat(3_000) })));
      const headers = { "content-encoding": encoding, "accept-encoding": `identity;q=0.1, ${encoding}` };
      const answer = await post("CreateBook", "application/proto", compress(book), headers);
      expect(answer.headers["content-encoding"]).toBe(encoding);
      expect(decompress(answer.bytes)).toEqual(book);
      const small = await post("GetBook", "application/proto", getBook, { "accept-encoding": encoding });
      expect(small.headers).not.toHaveProperty("content-encoding");
    },
  );

  test("may be a GET where the method has no side effects", async () => {
    const get = (query: string) => sendRaw(shop.port, { target: `${path("GetBook")}?${query}` });
    const message = encodeURIComponent('{"id":"a"}');
    expect((await get(`connect=v1&encoding=json&message=${message}`)).json()).toEqual({ id: "a" });
    const base64 = zlib.gzipSync(getBook).toString("base64url");
    const proto = await get(`encoding=proto&base64=1&compression=gzip&message=${base64}`);
    expect(fromBinary(BookSchema, proto.bytes)).toEqual(bookA);
    expect((await get("encoding=json")).json()).toMatchObject({ code: "invalid_argument" });
    expect((await get(`connect=v2&encoding=json&message=${message}`)).status).toBe(400);
    expect((await get(`encoding=xml&message=${message}`)).status).toBe(400);
  });

  test("has its errors in JSON, with the status of its code and the details of gRPC", async () => {
    const answer = await post(
      "FailCall",
      "application/json",
      '{"code":9,"message":"not now","withDetails":true,"info":{"reason":"BUSY"}}',
    );
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({
      code: "failed_precondition",
      message: "not now",
      details: [{ type: "google.rpc.ErrorInfo" }],
    });
    const cancelled = await post("FailCall", "application/proto", Buffer.from([8, 1]));
    expect([cancelled.status, cancelled.json().code]).toEqual([499, "canceled"]);
    const banned = await post("GetBook", "application/json", "{}", { "x-banned": "1" });
    expect([banned.status, banned.headers["x-why"], banned.json().code]).toEqual([
      403,
      "banned",
      "permission_denied",
    ]);
  });

  interface Differing {
    readonly method?: string;
    readonly target?: string;
    readonly headers?: Record<string, string>;
    readonly body?: Buffer;
  }
  const refused: readonly (readonly [string, Differing, number])[] = [
    ["a method it does not take", { method: "PUT" }, 405],
    ["a GET of what has side effects", { method: "GET", target: path("CreateBook") }, 405],
    ["a content type that is none of its", { headers: { "content-type": "text/plain" } }, 415],
    ["a codec nobody knows", { headers: { "content-type": "application/connect+xml" } }, 415],
    ["a stream's content type", { headers: { "content-type": "application/connect+proto" } }, 415],
    ["JSON in another alphabet", { headers: { "content-type": "application/json; charset=utf-16" } }, 415],
    ["an unknown compression", { headers: { "content-encoding": "lzma" } }, 501],
    ["what is not compressed as it says", { headers: { "content-encoding": "gzip" } }, 400],
    ["a timeout that is none", { headers: { "connect-timeout-ms": "soon" } }, 400],
    ["a version of later", { headers: { "connect-protocol-version": "2" } }, 400],
    ["more than it may have", { body: Buffer.alloc(10_001) }, 429],
  ];
  test.each(refused)("refuses %s", async (_what, { headers, ...differing }, status) => {
    const request = { method: "POST", target: path("GetBook"), body: getBook, ...differing };
    const answer = await sendRaw(shop.port, {
      ...request,
      headers: { "content-type": "application/proto", ...headers },
    });
    expect(answer.status).toBe(status);
  });

  test("ends by its own deadline, also while it is being sent", async () => {
    const wait = Buffer.from(
      toBinary(WaitForCancelRequestSchema, create(WaitForCancelRequestSchema, { waitMs: 20_000 })),
    );
    const answer = await post("WaitForCancel", "application/proto", wait, { "connect-timeout-ms": "100" });
    expect([answer.status, answer.json().code]).toEqual([504, "deadline_exceeded"]);
    const slow = await post("GetBook", "application/proto", Buffer.alloc(0), {
      "content-length": "5",
      "connect-timeout-ms": "100",
    });
    expect([slow.status, slow.json().code]).toEqual([504, "deadline_exceeded"]);
  });
});

describe("a Connect stream", () => {
  const watch = (init: object) =>
    Buffer.from(toBinary(WatchBooksRequestSchema, create(WatchBooksRequestSchema, init)));

  test("is envelopes, and a last one with what became of it", async () => {
    const answer = await post("WatchBooks", "application/connect+proto", frame(watch({ count: 2 })));
    const frames = framesOf(answer.bytes);
    expect(frames.map(({ flags }) => flags)).toEqual([0, 0, 2]);
    expect(JSON.parse(String(frames[2]?.bytes))).toEqual({});
    const failed = await post(
      "WatchBooks",
      "application/connect+json",
      frame(Buffer.from('{"count":1,"failWith":10}')),
    );
    const [first, last] = framesOf(failed.bytes);
    expect(JSON.parse(String(first?.bytes))).toEqual({ id: "0" });
    expect(JSON.parse(String(last?.bytes))).toMatchObject({
      error: { code: "aborted", message: "the stream broke" },
    });
  });

  test("may have compressed messages both ways", async () => {
    const headers = { "connect-content-encoding": "gzip", "connect-accept-encoding": "gzip" };
    const request = frame(zlib.gzipSync(watch({ count: 1, paddingBytes: 3_000 })), 1);
    const answer = await post("WatchBooks", "application/connect+proto", request, headers);
    expect(answer.headers["connect-content-encoding"]).toBe("gzip");
    const [first] = framesOf(answer.bytes);
    expect(first?.flags).toBe(1);
    expect(fromBinary(BookSchema, zlib.gunzipSync(first?.bytes ?? "")).displayTitle).toHaveLength(3_000);
  });

  test.each([
    ["no message", Buffer.alloc(0), "unimplemented"],
    ["two messages", Buffer.concat([frame(watch({})), frame(watch({}))]), "unimplemented"],
    ["half a message", frame(watch({ count: 5 })).subarray(0, 6), "invalid_argument"],
    ["a flag that no request has", frame(watch({}), 2), "invalid_argument"],
    ["a compression not declared", frame(zlib.gzipSync(watch({})), 1), "internal"],
    ["a message announced as 4 GB", Buffer.from([0, 255, 255, 255, 255, 0]), "resource_exhausted"],
  ])("of one request with %s is refused in its last envelope", async (_what, body, code) => {
    const answer = await post("WatchBooks", "application/connect+proto", body);
    const [last] = framesOf(answer.bytes);
    expect([answer.status, last?.flags]).toEqual([200, 2]);
    expect(JSON.parse(String(last?.bytes))).toMatchObject({ error: { code } });
  });

  test("a bomb stops at the limit of what comes out of it", async () => {
    const bomb = frame(zlib.gzipSync(Buffer.alloc(9_000_000)), 1);
    const answer = await post("WatchBooks", "application/connect+proto", bomb, {
      "connect-content-encoding": "gzip",
    });
    expect(answer.body).toContain("resource_exhausted");
  });

  test("in both directions needs HTTP/2, and has it", async () => {
    expect((await post("Chat", "application/connect+proto", frame(getBook))).status).toBe(505);
    const session = http2.connect(`http://127.0.0.1:${shop.port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": path("Chat"),
      "content-type": "application/connect+proto",
    });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    for (const id of ["1", "2", "3"]) {
      stream.write(frame(toBinary(BookSchema, create(BookSchema, { id }))));
      await eventually(() => framesOf(Buffer.concat(chunks)).length === Number(id));
    }
    stream.end();
    await new Promise((resolve) => stream.once("close", resolve));
    session.close();
    const frames = framesOf(Buffer.concat(chunks));
    expect(frames.slice(0, 3).map(({ bytes }) => fromBinary(BookSchema, bytes).id)).toEqual(["1", "2", "3"]);
    expect(frames[3]?.flags).toBe(2);
  });
});

describe("a gRPC-Web call", () => {
  test("has its trailers in its last envelope", async () => {
    const answer = await post("GetBook", "application/grpc-web+proto", frame(getBook));
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/grpc-web+proto"]);
    const [message, trailers] = framesOf(answer.bytes);
    expect(fromBinary(BookSchema, message?.bytes ?? getBook)).toEqual(bookA);
    expect([trailers?.flags, String(trailers?.bytes)]).toEqual([0x80, "grpc-status: 0\r\n"]);
  });

  test("is base64 both ways in its text form, also in several pieces", async () => {
    const pieces = [frame(getBook).subarray(0, 4), frame(getBook).subarray(4)];
    const body = pieces.map((piece) => piece.toString("base64")).join("");
    const answer = await post("GetBook", "application/grpc-web-text", body);
    const parts = answer.body.match(/[^=]+={0,2}/g) ?? [];
    const [message, trailers] = framesOf(Buffer.concat(parts.map((part) => Buffer.from(part, "base64"))));
    expect(fromBinary(BookSchema, message?.bytes ?? getBook)).toEqual(bookA);
    expect(trailers?.flags).toBe(0x80);
    expect((await post("GetBook", "application/grpc-web-text", "no*base64")).bytes.length).toBeGreaterThan(0);
  });
});

describe("a gRPC call that cannot just pass", () => {
  const Client = grpc.makeGenericClientConstructor(libraryDefinition, "Library");
  type Unary = (
    request: Message,
    metadata: grpc.Metadata,
    options: object,
    done: (error: Error | null, answer: Book) => void,
  ) => void;

  test("is served all the same: compressed by its caller", async () => {
    const client = new Client(`127.0.0.1:${shop.port}`, grpc.credentials.createInsecure(), {
      "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    }) as unknown as grpc.Client & Record<string, Unary>;
    const book = await new Promise<Book>((resolve, reject) => {
      client.CreateBook?.(
        create(BookSchema, { displayTitle: "x".repeat(5_000) }),
        new grpc.Metadata(),
        {},
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      );
    });
    expect(book.displayTitle).toHaveLength(5_000);
    client.close();
    await eventually(() => settled.some(({ request }) => request.header("grpc-encoding") === "gzip"));
  });

  test("is served all the same: JSON", async () => {
    const session = http2.connect(`http://127.0.0.1:${shop.port}`);
    const call = async (method: string, json: string) => {
      const stream = session.request({
        ":method": "POST",
        ":path": path(method),
        "content-type": "application/grpc+json",
        te: "trailers",
      });
      const chunks: Buffer[] = [];
      const seen: Record<string, unknown> = {};
      stream.on("response", (headers) => Object.assign(seen, headers));
      stream.on("trailers", (trailers) => Object.assign(seen, trailers));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.end(frame(Buffer.from(json)));
      await new Promise((resolve) => stream.once("close", resolve));
      return { seen, messages: framesOf(Buffer.concat(chunks)).map(({ bytes }) => String(bytes)) };
    };
    expect(await call("GetBook", '{"id":"a"}')).toMatchObject({
      seen: { "grpc-status": "0" },
      messages: ['{"id":"a"}'],
    });
    expect(await call("GetBook", '{"id":')).toMatchObject({ seen: { "grpc-status": "3" }, messages: [] });
    expect(await call("HiddenCall", "{}")).toMatchObject({ seen: { ":status": 200, "grpc-status": "12" } });
    expect(await call("FailCall", '{"code":5,"message":"gone"}')).toMatchObject({
      seen: { "grpc-status": "5", "grpc-message": "gone" },
    });
    session.close();
  });
});

test("each call is reported once, with protocol, status and code", async () => {
  settled.length = 0;
  await post("FailCall", "application/json", '{"code":5}');
  await post("WatchBooks", "application/connect+json", frame(Buffer.from("{}")));
  await eventually(() => settled.length === 2);
  expect(settled).toMatchObject([
    { request: { protocol: "connect" }, method: { name: "FailCall" }, httpStatus: 404, code: 5 },
    { request: { protocol: "connect" }, method: { name: "WatchBooks" }, httpStatus: 200, code: 0 },
  ]);
});
