import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Principal } from "../call.ts";
import type { Interceptor, Next } from "../interceptor.ts";
import type { Verify } from "../rpc.ts";
import type { ServerCall } from "../server-call.ts";

/**
 * Knows the caller by the bearer token and nothing else, and lets only those in who hold every scope of the policy.
 * A method that is anonymous has no principal, even when a token was sent.
 */
export function identity(verify: Verify): Interceptor {
  return (method, next) => {
    if (method.policy.anonymous) return next;
    const { scopes } = method.policy;
    return (call) => {
      const token = bearerToken(call.metadata("authorization"));
      const verified = verify(token);
      call.token = token;
      // A token seen before is known at once: a promise here would cost every call a turn of the event loop.
      if (verified instanceof Promise)
        return verified.then((principal) => admit(call, principal, scopes, next));
      return admit(call, verified, scopes, next);
    };
  };
}

function admit(call: ServerCall, principal: Principal, scopes: readonly string[], next: Next): Promise<void> {
  for (const scope of scopes) if (!principal.scopes.has(scope)) throw scopeMissing(scope);
  call.principal = principal;
  return next(call);
}

function bearerToken(header: string | undefined): string {
  if (header === undefined || header === "") throw tokenMissing();
  if (header.length <= 7 || header.slice(0, 7).toLowerCase() !== "bearer ") throw tokenMalformed();
  return header.slice(7);
}

function tokenMissing(): ServiceError {
  return serviceError(ErrorReasonSchema, ErrorReason.TOKEN_MISSING, "The call needs a bearer token.");
}

function tokenMalformed(): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.TOKEN_INVALID,
    "The authorization is not a bearer token.",
  );
}

function scopeMissing(scope: string): ServiceError {
  return serviceError(ErrorReasonSchema, ErrorReason.SCOPE_MISSING, `The token lacks the scope ${scope}.`, {
    metadata: { scope },
  });
}
