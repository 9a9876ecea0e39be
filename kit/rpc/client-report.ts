import { Code } from "#gen/google/rpc/code_pb.ts";
import { toServiceError } from "#kit/errors/errors.ts";
import { type Metrics, startSpan } from "#kit/telemetry/telemetry.ts";
import { codeName } from "./code-name.ts";
import type { Outgoing } from "./outgoing.ts";

/** An attempt that is being told of. */
export interface AttemptReport {
  /** The attempt as it is to be sent: where tracing is on, the callee's spans become children of the attempt's. */
  readonly attempt: Outgoing;
  /** Counts the attempt and ends its span; it is given what the attempt failed with. */
  end(failure?: unknown): void;
}

/** Starts the span of an attempt, if tracing is on. */
export function startReport(outgoing: Outgoing, metrics: Metrics | undefined): AttemptReport {
  const { rpc, traceparent } = outgoing;
  const span = startSpan(rpc.name, "client", traceparent);
  return {
    attempt: span === undefined ? outgoing : { ...outgoing, traceparent: span.traceparent },
    end(failure) {
      span?.end(failure);
      const code = failure === undefined ? Code.OK : toServiceError(failure).code;
      metrics?.rpcClientCalls(rpc.name, codeName(code)).inc();
    },
  };
}
