import http2 from "node:http2";
import zlib from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  BookSchema,
  WaitForCancelRequestSchema,
  WatchBooksRequestSchema,
} from "#gen/edge/testing/v1/library_pb.ts";
import { sendRaw } from "./raw-http.ts";
import { bookA, frame, framesOf, getBook, path, postTo, startRpcEdge } from "./rpc-calls.ts";
import { eventually, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;

beforeAll(async () => {
  ({ shop } = await startRpcEdge());
});
afterAll(() => shop.stop());

const post = (method: string, type: string, body: Buffer | string, headers?: Record<string, string>) =>
  postTo(shop, method, type, body, headers);

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
