import http2 from "node:http2";
import { create, fromBinary, type Message } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Settled } from "#edge/edge.ts";
import { type Book, BookSchema } from "#gen/edge/testing/v1/library_pb.ts";
import { libraryDefinition } from "./backend.ts";
import { bookA, frame, framesOf, getBook, path, postTo, startRpcEdge } from "./rpc-calls.ts";
import { eventually, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
let settled: Settled[];

beforeAll(async () => {
  ({ shop, settled } = await startRpcEdge());
});
afterAll(() => shop.stop());

const post = (method: string, type: string, body: Buffer | string, headers?: Record<string, string>) =>
  postTo(shop, method, type, body, headers);

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
