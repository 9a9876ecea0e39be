import { once } from "node:events";
import http2, { type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEdge, type Edge } from "#edge/edge.ts";
import { BookSchema, file_edge_testing_v1_library } from "#gen/edge/testing/v1/library_pb.ts";
import { sendRaw } from "./raw-http.ts";

// Trailers overtake messages that wait for their reader: node tells of them as they come, also while a stream is paused.

const count = 60;
const library = "/edge.testing.v1.LibraryService";
let server: Http2Server;
let edge: Edge;
let port: number;

beforeAll(async () => {
  server = http2.createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream
      .resume()
      .respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    const messages = headers[":path"]?.endsWith("WatchBooks") ? count : 1;
    stream.end(Buffer.concat(Array.from({ length: messages }, (_, at) => bookFrame(at))));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  edge = createEdge({
    registry: [file_edge_testing_v1_library],
    backendFor: () => ({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
  });
  ({ port } = await edge.listen({ host: "127.0.0.1", port: 0 }));
});

afterAll(async () => {
  await edge.close();
  server.close();
});

function bookFrame(at: number): Buffer {
  return frame(toBinary(BookSchema, create(BookSchema, { id: `#${at};`, displayTitle: "x".repeat(5_000) })));
}

function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const rpc = (type: string, body: Uint8Array) => ({
  headers: { ":method": "POST", ":path": `${library}/WatchBooks`, "content-type": type },
  body,
});
const requests: readonly (readonly [string, { headers: http2.OutgoingHttpHeaders; body?: Uint8Array }])[] = [
  ["lines of JSON", { headers: { ":path": "/v1/books:watch" } }],
  ["server-sent events", { headers: { ":path": "/v1/books:watch", accept: "text/event-stream" } }],
  ["Connect", rpc("application/connect+proto", frame(new Uint8Array()))],
  ["gRPC-Web", rpc("application/grpc-web+proto", frame(new Uint8Array()))],
  ["gRPC in JSON", rpc("application/grpc+json", frame(Buffer.from("{}")))],
  ["gRPC", rpc("application/grpc", frame(new Uint8Array()))],
];

test.each(requests)("who reads %s late gets every message and the end", async (_what, { headers, body }) => {
  // A window of 20 kB leaves most of the answer with the edge, which stops reading its backend meanwhile.
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 20_000 } });
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  stream.pause();
  await once(stream, "response");
  // An answer on the same connection to the backend, which came behind all of the stream's.
  expect((await sendRaw(port, { target: "/v1/books/a" })).status).toBe(200);
  const chunks: Buffer[] = [];
  let trailers: IncomingHttpHeaders = {};
  stream.on("trailers", (seen) => {
    trailers = seen;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk)).resume();
  await once(stream, "end");
  const answer = Buffer.concat(chunks).toString("latin1");
  expect(answer.match(/#\d+;/g)).toEqual(Array.from({ length: count }, (_, at) => `#${at};`));
  expect(answer).not.toContain("error");
  expect(trailers["grpc-status"] ?? "0").toBe("0");
  session.destroy();
});
