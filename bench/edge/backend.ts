// The backend of every gateway in bench/edge: gRPC over node:http2 with canned answers, so that it is never what is waited for.

import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { frameMessage } from "#kit/wire/grpc-frame.ts";
import { calls, floorPath } from "./calls.ts";

const answers = new Map<string, Buffer>([
  ...calls.map((call) => [call.path, frameMessage(call.answerBytes)] as const),
  // What the floor gets is as long as what the others make of their answer.
  ...calls.map((call) => [floorPath(call), frameMessage(call.answerJson)] as const),
]);

const server = http2.createServer({
  settings: { maxConcurrentStreams: 1_000, initialWindowSize: 1_048_576 },
});
server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
  const answer = answers.get(headers[":path"] ?? "");
  stream.on("error", () => undefined);
  stream.resume();
  stream.once("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": answer ? "0" : "12" }));
    stream.end(answer);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once("disconnect", () => process.exit());
