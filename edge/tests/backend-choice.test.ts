import http2, { type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEdge, createEdgeError, type Edge, type EdgeOptions, type MethodPolicy } from "#edge/edge.ts";
import { BookSchema, file_edge_testing_v1_library, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { sendRaw } from "./raw-http.ts";

const exposed = new Set(["GetBook", "CreateBook"]);
const policyFor = ({ name }: { name: string }): MethodPolicy => ({ exposed: exposed.has(name) });

/** A backend that tells its name, and how many bytes it was sent. */
async function startNamed(name: string): Promise<Http2Server> {
  const server = http2.createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on("end", () => {
      const book = toBinary(BookSchema, create(BookSchema, { name, pageCount: bytes }));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(frame(book));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function frame(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const addressOf = (server: Http2Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

let north: Http2Server;
let south: Http2Server;
let edge: Edge;
let port: number;

const unknown = (value: string) =>
  createEdgeError({ code: 5, reason: "LIBRARY_UNKNOWN", message: `no ${value}`, domain: "libraries" });

function createChoosing(choice: object, more: Partial<EdgeOptions> = {}): Edge {
  const addresses = { north: addressOf(north), south: addressOf(south) };
  return createEdge({
    registry: [file_edge_testing_v1_library],
    policyFor,
    backendFor: () => ({ byField: "id", addresses, ...choice }),
    ...more,
  });
}

beforeAll(async () => {
  [north, south] = await Promise.all([startNamed("north"), startNamed("south")]);
  edge = createChoosing({ unknown });
  ({ port } = await edge.listen({ host: "127.0.0.1", port: 0 }));
});
afterAll(async () => {
  await edge.close();
  north.close();
  south.close();
});

const baseUrl = () => `http://127.0.0.1:${port}`;

describe("a call goes to the backend that its request names", () => {
  test("over REST, be it in path or body", async () => {
    for (const id of ["north", "south"]) {
      expect((await sendRaw(port, { target: `/v1/books/${id}` })).json().name).toBe(id);
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ id });
      expect((await sendRaw(port, { method: "POST", target: "/v1/books", headers, body })).json().name).toBe(
        id,
      );
    }
  });

  test("over Connect, gRPC-Web and gRPC", async () => {
    const transports = [
      createConnectTransport({ baseUrl: baseUrl(), httpVersion: "1.1" }),
      createGrpcWebTransport({ baseUrl: baseUrl(), httpVersion: "1.1" }),
      createGrpcTransport({ baseUrl: baseUrl() }),
    ];
    for (const transport of transports) {
      const client = createClient(LibraryService, transport);
      expect((await client.getBook({ id: "north" })).name).toBe("north");
      expect((await client.getBook({ id: "south" })).name).toBe("south");
    }
  });

  test("refuses one that names nobody, in the gateway's own words", async () => {
    const answer = await sendRaw(port, { target: "/v1/books/east" });
    expect([answer.status, answer.json().reason, answer.json().domain]).toEqual([
      404,
      "LIBRARY_UNKNOWN",
      "libraries",
    ]);
    for (const make of [createConnectTransport, createGrpcWebTransport]) {
      const client = createClient(LibraryService, make({ baseUrl: baseUrl(), httpVersion: "1.1" }));
      await expect(client.getBook({ id: "east" })).rejects.toMatchObject({ code: 5, rawMessage: "no east" });
    }
    const grpc = createClient(LibraryService, createGrpcTransport({ baseUrl: baseUrl() }));
    await expect(grpc.getBook({ id: "east" })).rejects.toMatchObject({ code: 5, rawMessage: "no east" });
  });

  test("refuses in words of the edge's where the gateway has none", async () => {
    const plain = createChoosing({});
    const { port: own } = await plain.listen({ host: "127.0.0.1", port: 0 });
    const answer = await sendRaw(own, { target: "/v1/books/constructor" });
    expect([answer.status, answer.json().reason]).toEqual([404, "BACKEND_UNKNOWN"]);
    await plain.close();
  });
});

/** Sends a gRPC request in pieces; resolves with its status and the message's bytes. */
async function sendPieces(pieces: readonly Buffer[]): Promise<{ status: unknown; body: Buffer }> {
  const session = http2.connect(baseUrl());
  const stream = session.request({
    ":method": "POST",
    ":path": "/edge.testing.v1.LibraryService/GetBook",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let status: unknown;
  const chunks: Buffer[] = [];
  stream.on("response", (headers) => {
    status = headers["grpc-status"];
  });
  stream.on("trailers", (trailers) => {
    status = trailers["grpc-status"];
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  for (const piece of pieces) await new Promise<void>((resolve) => stream.write(piece, () => resolve()));
  stream.end();
  await new Promise<void>((resolve) => stream.once("close", resolve));
  session.close();
  return { status, body: Buffer.concat(chunks) };
}

describe("a gRPC request", () => {
  const whole = frame(toBinary(BookSchema, create(BookSchema, { id: "south" })));

  test("that comes byte by byte reaches its backend whole", async () => {
    const pieces = Array.from(whole, (byte) => Buffer.from([byte]));
    const { status, body } = await sendPieces(pieces);
    expect(status).toBe("0");
    const expected = create(BookSchema, { name: "south", pageCount: whole.length });
    expect(body.subarray(5)).toEqual(Buffer.from(toBinary(BookSchema, expected)));
  });

  test.each([
    ["is compressed", [frame(Buffer.from("zip"), 1)], "12"],
    ["announces more than it may have", [Buffer.from([0, 255, 255, 255, 255, 0])], "8"],
    ["has no message", [], "3"],
    ["breaks off in its message", [whole.subarray(0, 7)], "3"],
    ["is no such message", [frame(Buffer.from([255, 255, 255]))], "3"],
  ])("that %s is refused", async (_what, pieces, expected) => {
    expect((await sendPieces(pieces)).status).toBe(expected);
  });
});

test("a field that cannot choose is refused when the edge is made", () => {
  for (const byField of ["nowhere", "page_count", "tags"]) {
    const make = () =>
      createChoosing({ byField }, { policyFor: ({ name }) => ({ exposed: name === "CreateBook" }) });
    expect(make).toThrow(`LibraryService.CreateBook: '${byField}' is not a string of its request`);
  }
});
