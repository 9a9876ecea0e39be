import { Code } from "#gen/google/rpc/code_pb.ts";
import { toServiceError } from "#kit/errors/errors.ts";
import { type Metrics, startSpan } from "#kit/telemetry/telemetry.ts";
import { codeName } from "./code-name.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * Starts the span of an attempt, if tracing is on, and makes the callee's spans its children. The function returned
 * counts the attempt and ends its span; it is given what the attempt failed with.
 */
export function startReport(outgoing: Outgoing, metrics: Metrics | undefined): (failure?: unknown) => void {
  const { rpc, metadata, traceparent } = outgoing;
  const span = startSpan(rpc.name, "client", traceparent);
  if (span !== undefined) metadata.set("traceparent", span.traceparent);
  return (failure) => {
    span?.end(failure);
    const code = failure === undefined ? Code.OK : toServiceError(failure).code;
    metrics?.rpcClientCalls(rpc.name, codeName(code)).inc();
  };
}
