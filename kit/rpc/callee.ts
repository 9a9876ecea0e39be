import type { Message } from "@bufbuild/protobuf";
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from "cockatiel";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";
import { createRecovery } from "./recovery.ts";

/** When a client stops bothering a callee. */
export interface CalleeLimits {
  /** Calls at once; the rest is refused here. 512: what a healthy callee answers within its deadlines. */
  readonly maxInFlight: number;
  /** Failures in a row after which calls are refused here. */
  readonly breakAfter: number;
  /** How long, in milliseconds, until one call may try again. */
  readonly halfOpenAfterMs: number;
}

/** The limits where a client names no others. */
export const defaultCalleeLimits: CalleeLimits = { maxInFlight: 512, breakAfter: 20, halfOpenAfterMs: 500 };

/** Stands between a client and a callee that may be ill. */
export interface Callee {
  /** Runs an attempt; refuses it with DEPENDENCY_UNAVAILABLE when the callee is ill or busy. */
  attempt(send: () => Promise<Message>): Promise<Message>;
  /** Takes a place among the calls in flight, for as long as a stream lasts; throws where there is none. */
  enter(): void;
  leave(): void;
}

/** A breaker and a bulkhead for one callee; its errors lead to its recovery. */
export function createCallee(limits: CalleeLimits): Callee {
  const breaker = circuitBreaker(handleWhen(showsIllness), {
    halfOpenAfter: limits.halfOpenAfterMs,
    breaker: new ConsecutiveBreaker(limits.breakAfter),
  });
  const recovery = createRecovery(limits.halfOpenAfterMs);
  let inFlight = 0;
  const refuse = (message: string, cause?: unknown) => {
    const error = refused(message, cause);
    recovery.mark(error);
    return error;
  };
  const callee: Callee = {
    enter() {
      if (inFlight >= limits.maxInFlight)
        throw refuse("Too many calls to a service that is needed are under way.");
      inFlight++;
    },
    leave() {
      inFlight--;
    },
    async attempt(send) {
      // While one call tries whether the callee is well again, cockatiel would let the others wait for it.
      if (breaker.state === CircuitState.HalfOpen) throw refuse("A service that is needed is away.");
      callee.enter();
      try {
        const answer = await breaker.execute(send);
        recovery.succeeded();
        return answer;
      } catch (error) {
        if (!(error instanceof ServiceError)) throw refuse("A service that is needed is away.", error);
        if (!showsIllness(error)) recovery.succeeded();
        else {
          recovery.failed();
          recovery.mark(error);
        }
        throw error;
      } finally {
        callee.leave();
      }
    },
  };
  return callee;
}

// Of the codes that can be repeated, those that tell of an ill process. INTERNAL is a fault of one handler, ABORTED a
// conflict, CANCELLED an impatient caller.
const illness: ReadonlySet<Code> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.RESOURCE_EXHAUSTED,
  Code.UNAVAILABLE,
]);

function showsIllness(error: unknown): boolean {
  return error instanceof ServiceError && illness.has(error.code);
}

function refused(message: string, cause?: unknown): ServiceError {
  return serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, message, { cause });
}
