import type { IncomingHttpHeaders } from "node:http2";
import type { ClientStream, StreamListener } from "#kit/wire/http2/stream.ts";
import type { EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { BackendHealth } from "./backend-health.ts";

/** Why a call ended other than by the backend's own status. */
export type Failure =
  | "unreachable"
  | "overloaded"
  | "resting"
  | "deadline"
  | "cancelled"
  | "response-too-large"
  | "malformed"
  | "lost";

/** How a call ended. */
export interface Outcome {
  /** gRPC status number. */
  readonly code: number;
  readonly message: string;
  /** Encoded google.rpc.Status from `grpc-status-details-bin`. */
  readonly details: Uint8Array | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  /** Undefined when the backend itself answered. */
  readonly failure: Failure | undefined;
  /** Whether it was, or would have been, repeated in vain: the caller should not repeat it either. */
  readonly exhausted?: boolean;
  /** Time after which another attempt makes sense, where that is known. */
  readonly retryAfterMs?: number;
  /** The error itself, where the call did not leave the process. */
  readonly error?: EdgeError;
}

/** What a caller of a backend asks for. */
export interface CallRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Names and values in turn. */
  readonly metadata: readonly string[];
  /** The one message; undefined where the caller streams its messages by {@link Call.send}. */
  readonly message: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** Whether it may be sent once more after it may already have been received. */
  readonly retryable: boolean;
}

/** What becomes of a call; `onEnd` comes exactly once, last. */
export interface CallListener {
  onHeaders?(headers: IncomingHttpHeaders): void;
  onMessage(message: Buffer): void;
  /** After a `send` that answered false: there is room for more. */
  onDrain?(): void;
  onEnd(outcome: Outcome): void;
}

/** A call on its way. */
export interface Call {
  /** Ends it with CANCELLED and tells the backend. */
  cancel(): void;
  /** Backpressure: no further messages until `resume`. */
  pause(): void;
  resume(): void;
  /** Sends the next message of a caller's stream; false asks to wait for `onDrain`. */
  send(message: Uint8Array): boolean;
  /** Ends a caller's stream. */
  end(): void;
}

/** What answers calls whose message is known. */
export interface Callee {
  /** Starts a unary or server-streaming call. */
  call(request: CallRequest, listener: CallListener): Call;
}

/** Where calls get their streams from. */
export interface StreamSource {
  /** Opens a stream with these headers (names and values in turn), or says why it cannot. */
  stream(headers: readonly string[], listener: StreamListener): ClientStream | Failure;
  /** Time until the next attempt to connect, in milliseconds. */
  readonly backoffMs: number;
  /** What is known of the backend; calls tell it how they fared. */
  readonly health: BackendHealth;
}

/** The outcome of a call that the edge itself ended. */
export function failed(failure: Failure, message: string): Outcome {
  return { code: codeOf(failure), message, details: undefined, headers: {}, trailers: {}, failure };
}

function codeOf(failure: Failure): number {
  switch (failure) {
    case "deadline":
      return Code.DEADLINE_EXCEEDED;
    case "cancelled":
      return Code.CANCELLED;
    case "response-too-large":
    case "malformed":
      return Code.INTERNAL;
    default:
      return Code.UNAVAILABLE;
  }
}
