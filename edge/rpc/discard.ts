import type { RestContext } from "../rest-context.ts";

const discardTimeoutMs = 1_000;

/** The rest of a request that has its answer is of no use; over HTTP/2, whoever keeps sending is cut off. Node does this for HTTP/1.1. */
export function discardRest(request: RestContext["request"]): void {
  if (!("stream" in request) || request.complete) return;
  const { stream } = request;
  if (stream === undefined || stream.destroyed) return;
  request.removeAllListeners("data").resume();
  const late = setTimeout(() => stream.close(), discardTimeoutMs);
  stream.once("close", () => clearTimeout(late));
}
