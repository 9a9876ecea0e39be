import type { EdgeCall, EdgeRequest } from "#edge/edge.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import type { Principal, TokenVerifier } from "#kit/auth/auth.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { policyOf } from "./policy.ts";
import { toEdgeError } from "./problems.ts";
import type { RateLimit } from "./rate-limit.ts";

/** Who decides on calls. */
export interface Admission {
  readonly verifier: TokenVerifier;
  readonly rateLimit: RateLimit;
}

/** A client's own correlation id is kept if it is one: it ends up in logs, headers and events. */
const correlationShape = /^[A-Za-z0-9._:-]{1,128}$/;

/** What metadata can carry. The edge leaves out what it cannot: such a key would be refused as a missing one. */
const metadataShape = /^[\x20-\x7e]*$/;

/** Gives every request a correlation id, in the answer and in what goes on. */
export function nameRequest(request: EdgeRequest): void {
  const given = request.header("x-correlation-id") ?? "";
  const correlationId = correlationShape.test(given) ? given : newUuid();
  request.setMetadata("x-correlation-id", correlationId);
  request.setHeader("x-correlation-id", correlationId);
  request.context = correlationId;
}

/**
 * Admits a call: a valid token where the contract asks for one, its scopes, and the caller's rate limit. A caller whose
 * token is known and who holds permits is admitted without a promise. The services check token and scopes once more.
 * @throws EdgeError 400 for an Idempotency-Key outside ASCII, 401, 403 or 429.
 */
export function admit(admission: Admission, call: EdgeCall): void | Promise<void> {
  try {
    const principal = identify(admission, call);
    if (principal instanceof Promise) return admitLater(admission, call, principal);
    const counted = allow(admission, call, principal);
    if (counted) return counted.catch(refuse);
  } catch (error) {
    refuse(error);
  }
}

async function admitLater(admission: Admission, call: EdgeCall, pending: Promise<Principal>) {
  try {
    await allow(admission, call, await pending);
  } catch (error) {
    refuse(error);
  }
}

function identify({ verifier }: Admission, call: EdgeCall): Principal | Promise<Principal> | undefined {
  if (policyOf(call.method).anonymous) return undefined;
  const [scheme, token] = (call.header("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || !token) throw tokenMissing();
  return verifier.verify(token);
}

function allow(
  { rateLimit }: Admission,
  call: EdgeCall,
  principal: Principal | undefined,
): void | Promise<void> {
  const missing = policyOf(call.method).scopes.find((scope) => !principal?.scopes.has(scope));
  if (missing !== undefined) throw scopeMissing(missing);
  if (!metadataShape.test(call.header("idempotency-key") ?? "")) throw keyInvalid();
  return rateLimit.take(principal ? `sub:${principal.subject}` : `ip:${call.remoteAddress}`);
}

function refuse(error: unknown): never {
  const refusal = toEdgeError(error);
  // RFC 6750 section 3: a 401 names the scheme.
  throw refusal.code === unauthenticated ? toEdgeError(error, { "www-authenticate": "Bearer" }) : refusal;
}

const unauthenticated = 16;

const tokenMissing = () =>
  serviceError(ErrorReasonSchema, ErrorReason.TOKEN_MISSING, "This needs a bearer token.");

const scopeMissing = (scope: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SCOPE_MISSING, `The token lacks the scope ${scope}.`, {
    metadata: { scope },
  });

const keyInvalid = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_INVALID,
    "The Idempotency-Key must be 1 to 255 printable ASCII characters.",
  );
