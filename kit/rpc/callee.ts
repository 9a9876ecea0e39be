import type { Message } from "@bufbuild/protobuf";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";
import { createBreaker } from "./breaker.ts";
import { createRecovery } from "./recovery.ts";

/** When a client stops bothering a callee. */
export interface CalleeLimits {
  /** Calls at once; the rest is refused here. 512: what a healthy callee answers within its deadlines. */
  readonly maxInFlight: number;
  /** Failures in a row after which calls are refused here. */
  readonly breakAfter: number;
  /** From then on one call is sent ahead each so many milliseconds. */
  readonly probeEveryMs: number;
}

/**
 * The limits where a client names no others. Five calls a second burden nobody; but a call passes several breakers, the edge's
 * among them, each of which may have asked a moment too early, and together they must find a callee within two seconds.
 */
export const defaultCalleeLimits: CalleeLimits = { maxInFlight: 512, breakAfter: 20, probeEveryMs: 200 };

/** Stands between a client and a callee that may be ill. */
export interface Callee {
  /** Runs an attempt; refuses it with DEPENDENCY_UNAVAILABLE when the callee is ill or busy. */
  attempt(send: () => Promise<Message>): Promise<Message>;
  /** Takes a place among the calls in flight, for as long as a stream lasts; throws where there is none. */
  enter(): void;
  leave(): void;
}

/** A breaker and a bulkhead for one callee; its errors lead to its recovery. */
export function createCallee({ maxInFlight, breakAfter, probeEveryMs }: CalleeLimits): Callee {
  const breaker = createBreaker(breakAfter, probeEveryMs);
  const recovery = createRecovery(probeEveryMs);
  let inFlight = 0;
  const refuse = (message: string) => {
    const error = serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, message);
    recovery.mark(error);
    return error;
  };
  const callee: Callee = {
    enter() {
      if (inFlight >= maxInFlight) throw refuse("Too many calls to a service that is needed are under way.");
      inFlight++;
    },
    leave() {
      inFlight--;
    },
    async attempt(send) {
      if (!breaker.admits()) throw refuse("A service that is needed is away.");
      callee.enter();
      try {
        const answer = await send();
        breaker.succeeded();
        recovery.succeeded();
        return answer;
      } catch (error) {
        if (showsIllness(error)) {
          breaker.failed();
          recovery.failed();
          recovery.mark(error);
        } else {
          breaker.succeeded();
          recovery.succeeded();
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

function showsIllness(error: unknown): error is ServiceError {
  return error instanceof ServiceError && illness.has(error.code);
}
