// The floor of bench/edge: node:http and node:http2 with nothing between them. Bodies go on as they are, over REST in one frame of
// gRPC, over gRPC chunk by chunk; nothing is routed, checked, read or written anew.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { frameMessage } from "#kit/wire/grpc-frame.ts";
import { calls, floorPath, keptOpenMs } from "./calls.ts";

const backend = http2.connect(process.env.BACKEND_URL ?? "", { settings: { initialWindowSize: 1_048_576 } });
const paths = new Map(calls.map((call) => [`${call.httpMethod} ${call.target}`, floorPath(call)]));
const backendHeaders = (path: string) => ({
  ":method": "POST",
  ":path": path,
  te: "trailers",
  "content-type": "application/grpc",
});

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer) {
  const call = backend.request(backendHeaders(paths.get(`${request.method} ${request.url}`) ?? ""));
  const parts: Buffer[] = [];
  call.on("data", (chunk: Buffer) => parts.push(chunk));
  call.on("end", () => {
    const bytes = (parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)).subarray(5);
    response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length });
    response.end(bytes);
  });
  call.end(frameMessage(body));
}

function receive(request: IncomingMessage, response: ServerResponse) {
  const parts: Buffer[] = [];
  request.on("data", (chunk: Buffer) => parts.push(chunk));
  request.on("end", () =>
    forward(request, response, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)),
  );
}

function pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
  const call = backend.request(backendHeaders(headers[":path"] ?? ""));
  let trailers: IncomingHttpHeaders = {};
  call.once("response", (answered) => stream.respond(answered, { waitForTrailers: true }));
  call.once("trailers", (sent) => {
    trailers = sent;
  });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.on("data", (chunk: Buffer) => call.write(chunk)).on("end", () => call.end());
  call.on("data", (chunk: Buffer) => stream.write(chunk)).on("end", () => stream.end());
}

const portOf = (server: http.Server | http2.Http2Server) => (server.address() as AddressInfo).port;
const rest = http.createServer({ keepAliveTimeout: keptOpenMs }, receive).listen(0, "127.0.0.1", () => {
  const grpc = http2.createServer().on("stream", pass);
  grpc.listen(0, "127.0.0.1", () => process.send?.({ port: portOf(rest), grpcPort: portOf(grpc) }));
});
process.once("disconnect", () => process.exit());
