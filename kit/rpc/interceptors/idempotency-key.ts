import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Interceptor } from "../interceptor.ts";

/** Hands a well-formed Idempotency-Key to the handler, and refuses calls without one where the policy asks for it. */
export const idempotencyKey: Interceptor = (method, next) => {
  if (!method.policy.idempotencyKeyRequired) return next;
  return (call) => {
    const key = call.metadata("idempotency-key");
    if (key === undefined) throw keyMissing();
    if (!/^[\x20-\x7e]{1,255}$/.test(key)) throw keyInvalid();
    call.idempotencyKey = key;
    return next(call);
  };
};

function keyMissing(): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_MISSING,
    "The call needs an Idempotency-Key.",
  );
}

function keyInvalid(): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_INVALID,
    "The Idempotency-Key must be 1 to 255 printable ASCII characters.",
  );
}
