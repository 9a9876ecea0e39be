import { Code } from "#gen/google/rpc/code_pb.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import { codeName } from "../code-name.ts";
import type { Interceptor } from "../interceptor.ts";

/** Counts calls by method and code, and how long each took. */
export function metrics(recorded: Metrics): Interceptor {
  return ({ name }, next) => {
    const duration = recorded.rpcServerDuration(name);
    return async (call) => {
      const startedAtMs = performance.now();
      await next(call);
      duration.observe((performance.now() - startedAtMs) / 1_000);
      recorded.rpcServerCalls(name, codeName(call.failure?.code ?? Code.OK)).inc();
    };
  };
}
