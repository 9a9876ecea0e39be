import { Code } from "#gen/google/rpc/code_pb.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { traceFields } from "#kit/telemetry/telemetry.ts";
import { codeName } from "../code-name.ts";
import type { Interceptor } from "../interceptor.ts";
import type { RpcMethod } from "../method.ts";
import { redact } from "../redact.ts";
import type { ServerCall } from "../server-call.ts";

/** Codes that say that this service, and not its caller, is at fault. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

/** One line for each call at debug, with the request as far as its fields may be shown; at warn for a server's fault. */
export function logs(log: Logger): Interceptor {
  return (method, next) => {
    return async (call) => {
      const startedAtMs = performance.now();
      await next(call);
      const faulty = call.failure !== undefined && serverFaults.has(call.failure.code);
      if (faulty) log.warn({ ...fieldsOf(method, call, startedAtMs), err: call.failure }, "call failed");
      else if (log.isLevelEnabled("debug"))
        log.debug({ ...fieldsOf(method, call, startedAtMs), request: requestOf(call) }, "call");
    };
  };
}

function fieldsOf(method: RpcMethod, call: ServerCall, startedAtMs: number) {
  return {
    method: method.name,
    code: codeName(call.failure?.code ?? Code.OK),
    reason: call.failure?.reason,
    durationMs: Math.round((performance.now() - startedAtMs) * 100) / 100,
    correlationId: call.correlationId,
    subject: call.principal?.subject,
    ...traceFields(call.traceparent),
  };
}

function requestOf({ rpc, request }: ServerCall) {
  return request && redact(rpc.input, request);
}
