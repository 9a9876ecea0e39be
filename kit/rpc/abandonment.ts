import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";

/** The call's time is over. */
export function deadlineExceeded(): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.DEADLINE_EXCEEDED,
    "The call did not end in its time; its outcome is unknown.",
  );
}

/** The caller cancelled the call, or its connection is gone. */
export function callerGone(): ServiceError {
  return cancelled("The caller no longer waits for the answer.");
}

/** A stream was left before its end, by our own choice. */
export function readerStopped(): ServiceError {
  return cancelled("The reader has stopped.");
}

function cancelled(message: string): ServiceError {
  return new ServiceError({ code: Code.CANCELLED, reason: "CANCELLED", domain: "grpc", message });
}

/** This replica stops; another one can be asked. */
export function draining(): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.DEPENDENCY_UNAVAILABLE,
    "This replica is stopping; ask again.",
  );
}
