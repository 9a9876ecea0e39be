// One error class, one vocabulary of reasons, one funnel in each direction. Whatever is thrown, a caller of another
// process sees a gRPC status with ErrorInfo whose reason stands in the contract; the text of an unknown error never
// leaves the process; and one table decides whether repeating can help.
import type { GenEnum } from "@bufbuild/protobuf/codegenv2";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { reasonOf } from "./reason.ts";
import { decodeDetails, encodeDetails } from "./status-details.ts";

/** A request field that breaks a rule, as a caller may see it. */
export interface Violation {
  /** Path of the field in the request message, in proto spelling: `lines[0].quantity`. */
  readonly field: string;
  /** The broken rule as a sentence, safe to show. */
  readonly description: string;
}

/** What may accompany a reason. */
export interface ServiceErrorOptions {
  /** Facts for programs, safe to show; keys in lower_snake_case. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly violations?: readonly Violation[] | undefined;
  /** When a repeat makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  /** For this process's log only; never sent. */
  readonly cause?: unknown;
}

interface ServiceErrorInit extends ServiceErrorOptions {
  readonly code: Code;
  readonly reason: string;
  readonly domain: string;
  readonly message: string;
}

/**
 * A refusal or failure with a meaning to the caller. Its message is safe to show, its `cause` is for the log.
 * Domain code makes one with {@link serviceError}; only converters from the wire use the constructor.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: Code;
  /** The reason's name in the contract without its enum's prefix: `ORDER_NOT_FOUND`. */
  readonly reason: string;
  /** Who declared the reason: `orders.souk` for package `souk.orders.v1`. */
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number | undefined;

  constructor(init: ServiceErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason;
    this.domain = init.domain;
    this.metadata = init.metadata ?? {};
    this.violations = init.violations ?? [];
    this.retryAfterMs = init.retryAfterMs;
  }
}

/**
 * Makes the error of a reason declared in a contract; its code is the one the contract gives that reason.
 * Throws a plain Error when the value is not declared or has no `souk.options.v1.reason`: a fault in the contract.
 */
export function serviceError<Value extends number>(
  schema: GenEnum<Value>,
  value: NoInfer<Value>,
  message: string,
  options: ServiceErrorOptions = {},
): ServiceError {
  return new ServiceError({ ...options, ...reasonOf(schema, value), message });
}

const retryableCodes: ReadonlySet<Code> = new Set([
  Code.CANCELLED,
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.RESOURCE_EXHAUSTED,
  Code.ABORTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
]);

/** An Idempotency-Key that stands for another request already. */
export const keyReused = (): ServiceError =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_REUSED,
    "This Idempotency-Key was used with another request.",
  );

/**
 * Whether the same call may end differently when it is repeated. Clients, consumers and sagas decide by this alone.
 * Anything that is not a {@link ServiceError} is retryable: a lost connection must not turn an order round.
 */
export function isRetryable(error: unknown): boolean {
  return !(error instanceof ServiceError) || retryableCodes.has(error.code);
}

/** The funnel: a ServiceError as it is; anything else as INTERNAL without its text, the original kept as cause. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  return internalError(error);
}

/** A gRPC status as it goes over the wire. */
export interface WireStatus {
  readonly code: Code;
  readonly message: string;
  /** Bytes of a google.rpc.Status, the value of `grpc-status-details-bin`. */
  readonly details: Uint8Array;
}

/** The status of whatever was thrown, with ErrorInfo and, where there is something to say, BadRequest and RetryInfo. */
export function toStatus(error: unknown): WireStatus {
  const known = toServiceError(error);
  return { code: known.code, message: known.message, details: encodeDetails(known) };
}

/** A gRPC status as it arrived; `details` are the bytes of `grpc-status-details-bin`, when it was there. */
export interface ReceivedStatus {
  readonly code: number;
  readonly message: string;
  readonly details?: Uint8Array | undefined;
}

/**
 * The error a status stands for. A status without ErrorInfo was made by a transport, not by a service: it gets a
 * reason from its code, and its text (which tells addresses and ports) becomes the cause.
 */
export function fromStatus(status: ReceivedStatus): ServiceError {
  const code = status.code as Code;
  const details = status.details === undefined ? undefined : decodeDetails(status.details);
  if (details === undefined) return transportError(code, status.message);
  return new ServiceError({ ...details, code, message: status.message });
}

function internalError(cause: unknown): ServiceError {
  return serviceError(ErrorReasonSchema, ErrorReason.INTERNAL, "Something went wrong on our side.", {
    cause,
  });
}

function transportError(code: Code, text: string): ServiceError {
  const cause = new Error(`gRPC status ${code}: ${text}`);
  switch (code) {
    case Code.UNAVAILABLE:
      return serviceError(
        ErrorReasonSchema,
        ErrorReason.DEPENDENCY_UNAVAILABLE,
        "A service that is needed for this is away; try again.",
        { cause },
      );
    case Code.DEADLINE_EXCEEDED:
      return serviceError(
        ErrorReasonSchema,
        ErrorReason.DEADLINE_EXCEEDED,
        "The call did not end in its time.",
        { cause },
      );
    default:
      return codeNames.has(code) ? plainError(code, cause) : internalError(cause);
  }
}

const maskedCodes: ReadonlySet<Code> = new Set([Code.OK, Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS]);

const codeNames: ReadonlyMap<Code, string> = new Map(
  Object.entries(Code)
    .filter(([, code]) => !maskedCodes.has(code))
    .map(([name, code]) => [code, name]),
);

function plainError(code: Code, cause: Error): ServiceError {
  const reason = codeNames.get(code) ?? "UNKNOWN";
  return new ServiceError({ code, reason, domain: "grpc", message: `The call ended with ${reason}.`, cause });
}
