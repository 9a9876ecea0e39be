import { timeoutOf } from "../deadline.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { backendMetadata } from "../runtime.ts";
import type { CallRequest } from "../upstream/call.ts";
import type { RestContext } from "./rest-context.ts";
import { streamResponder } from "./stream-response.ts";
import { type Responder, unaryResponder } from "./unary-response.ts";

/** What a REST request asks of its backend; `message` is undefined where the caller streams. Throws {@link EdgeError}s (400). */
export function callRequestFor(
  { runtime, exchange }: Pick<RestContext, "runtime" | "exchange">,
  { procedure }: RestRoute,
  message: Uint8Array | undefined,
): CallRequest {
  const { path, policy } = procedure;
  return {
    path,
    metadata: backendMetadata(runtime, exchange),
    message,
    timeoutMs: timeoutOf(
      exchange.header("grpc-timeout"),
      exchange.header("connect-timeout-ms"),
      policy.maxTimeoutMs,
    ),
    maxResponseBytes: runtime.limits.maxResponseBytes,
    retryable: policy.retryable,
  };
}

/** Turns what the backend says into the route's kind of answer. */
export function responderFor(context: RestContext, route: RestRoute): Responder {
  const { methodKind } = route.method;
  const streams = methodKind === "server_streaming" || methodKind === "bidi_streaming";
  return streams ? streamResponder(context, route) : unaryResponder(context, route);
}
