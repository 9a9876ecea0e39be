import { deadlineExceeded } from "../abandonment.ts";
import type { Interceptor, Next } from "../interceptor.ts";
import type { ServerCall } from "../server-call.ts";

/**
 * Ends a call when its time is over or its caller has gone, whatever the handler does then. grpc-js watches the caller's
 * deadline; only where the policy's is earlier does this need a timer of its own.
 */
export const deadline: Interceptor = (method, next) => {
  return (call) => {
    const timeoutMs = call.deadline.remainingMs();
    if (timeoutMs <= 0) return Promise.reject(deadlineExceeded());
    const timer = method.deadlineMs < call.callerTimeoutMs() ? startTimer(call, timeoutMs) : undefined;
    return raceAbandoned(call, next, timer);
  };
};

function startTimer(call: ServerCall, timeoutMs: number): NodeJS.Timeout {
  return setTimeout(() => call.abandon(deadlineExceeded()), timeoutMs);
}

function raceAbandoned(call: ServerCall, next: Next, timer: NodeJS.Timeout | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    call.onAbandoned(reject);
    settled(call, next)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

async function settled(call: ServerCall, next: Next): Promise<void> {
  await next(call);
}
