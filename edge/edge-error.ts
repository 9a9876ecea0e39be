import { Code, isInternalCode } from "./grpc/grpc-code.ts";

/** One refused member of a request. */
export interface Violation {
  /** Path of the member in JSON spelling. */
  readonly field: string;
  readonly description: string;
  readonly reason?: string;
}

/** What an {@link EdgeError} is made of. */
export interface EdgeErrorInit {
  /** gRPC status number. */
  readonly code: number;
  /** Machine-readable cause in capitals, such as TOKEN_EXPIRED. */
  readonly reason: string;
  /** Text for the caller; masked where the code is INTERNAL, UNKNOWN or DATA_LOSS. */
  readonly message: string;
  /** Owner of the reason; default "edge". */
  readonly domain?: string;
  /** HTTP status where the code's own does not say enough (405, 413, 415 …). */
  readonly httpStatus?: number;
  /** Path of the member at fault, in JSON spelling. */
  readonly field?: string;
  readonly violations?: readonly Violation[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** Sent as Retry-After too. */
  readonly retryAfterMs?: number;
  /** Headers of the answer, such as Allow or WWW-Authenticate. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the code says it all, so that RPC callers get no details; default false. */
  readonly plain?: boolean;
  /** Whether the message may leave though its code is INTERNAL, UNKNOWN or DATA_LOSS; default false. */
  readonly shown?: boolean;
  /** Encoded google.rpc.Status of the backend, kept for the gRPC family of protocols. */
  readonly statusDetails?: Uint8Array;
  readonly cause?: unknown;
}

/** The one error of the edge: every refusal, its own or a backend's, in every protocol; hooks throw it to refuse. */
export class EdgeError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly domain: string;
  readonly httpStatus: number | undefined;
  readonly field: string | undefined;
  readonly violations: readonly Violation[];
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly retryAfterMs: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly plain: boolean;
  readonly shown: boolean;
  readonly statusDetails: Uint8Array | undefined;

  constructor(init: EdgeErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "EdgeError";
    this.code = init.code;
    this.reason = init.reason;
    this.domain = init.domain ?? "edge";
    this.httpStatus = init.httpStatus;
    this.field = init.field;
    this.violations = init.violations ?? violationsOf(init);
    this.metadata = init.metadata;
    this.retryAfterMs = init.retryAfterMs;
    this.headers = init.headers;
    this.plain = init.plain ?? false;
    this.shown = init.shown ?? false;
    this.statusDetails = init.statusDetails;
  }
}

/** Refuses a request for what it says (400). */
export function badRequest(reason: string, message: string, field?: string): EdgeError {
  return new EdgeError({
    code: Code.INVALID_ARGUMENT,
    reason,
    message,
    ...(field === undefined ? {} : { field }),
  });
}

/** Turns whatever was thrown into an {@link EdgeError}; what is none is a defect and says nothing outside. */
export function toEdgeError(thrown: unknown): EdgeError {
  if (thrown instanceof EdgeError) return thrown;
  return new EdgeError({ code: Code.INTERNAL, reason: "INTERNAL", message: "internal error", cause: thrown });
}

/** The text that callers get to see. */
export function publicText({ code, shown, message }: EdgeError): string {
  return isInternalCode(code) && !shown ? "internal error" : message;
}

function violationsOf(init: EdgeErrorInit): Violation[] {
  return init.field === undefined
    ? []
    : [{ field: init.field, description: init.message, reason: init.reason }];
}
