import { startSpan } from "#kit/telemetry/telemetry.ts";
import type { Interceptor } from "../interceptor.ts";

/** A span for each call, below the caller's; what the call does goes below the span. Nothing while tracing is off. */
export const traces: Interceptor = (method, next) => {
  return (call) => {
    const span = startSpan(method.name, "server", call.traceparent);
    if (span === undefined) return next(call);
    call.traceparent = span.traceparent;
    span.setAttribute("souk.correlation_id", call.correlationId);
    return next(call).then(() => span.end(call.failure));
  };
};
