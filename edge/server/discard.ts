import http2, { type ServerHttp2Stream } from "node:http2";
import type { Request } from "../rest/rest-context.ts";

const discardTimeoutMs = 1_000;

/** The rest of a request that has its answer is of no use; whoever keeps sending is cut off. */
export function discardRest(stream: ServerHttp2Stream): void {
  stream.removeAllListeners("data").resume();
  const late = setTimeout(() => stream.close(http2.constants.NGHTTP2_NO_ERROR), discardTimeoutMs);
  stream.once("close", () => clearTimeout(late));
}

/** The same for a request of either HTTP version; node does it for HTTP/1.1. */
export function discardRestOf(request: Request): void {
  if (!("stream" in request) || request.complete) return;
  const { stream } = request;
  if (stream === undefined || stream.destroyed) return;
  request.removeAllListeners("data");
  discardRest(stream as ServerHttp2Stream);
}
