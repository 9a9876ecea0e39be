import http2, { type ServerHttp2Stream } from "node:http2";

const discardTimeoutMs = 1_000;

/**
 * The rest of a request that has its answer is of no use; whoever keeps sending is cut off. Over HTTP/2 only: node does it for
 * HTTP/1.1.
 */
export function discardRest(stream: ServerHttp2Stream): void {
  if (stream.endAfterHeaders || stream.readableEnded || stream.destroyed) return;
  stream.removeAllListeners("data").resume();
  const late = setTimeout(() => stream.close(http2.constants.NGHTTP2_NO_ERROR), discardTimeoutMs);
  stream.once("close", () => clearTimeout(late));
}
