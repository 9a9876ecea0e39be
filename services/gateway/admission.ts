import type { EdgeCall, EdgeRequest } from "#edge/edge.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type MethodPolicy, RateClass } from "#gen/souk/options/v1/options_pb.ts";
import type { Principal, TokenVerifier } from "#kit/auth/auth.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { addressKey } from "./addresses.ts";
import { factsOf } from "./entrance.ts";
import { policyOf } from "./policy.ts";
import { toEdgeError } from "./problems.ts";
import type { Rate, RateLimit, RateRule, Standing } from "./rate-limit.ts";
import { type Tickets, ticketParameter } from "./tickets.ts";

/** Who decides on calls. */
export interface Admission {
  readonly verifier: TokenVerifier;
  readonly rateLimit: RateLimit;
  readonly rates: Readonly<Record<RateRule, Rate>>;
  readonly tickets: Pick<Tickets, "open">;
}

/** What metadata can carry, and services take; the edge would leave out what it cannot send on. */
const keyShape = /^[\x20-\x7e]{1,255}$/;

/**
 * Admits a call: its address's limit, a valid token where the contract asks for one, its scopes, the Idempotency-Key, and the
 * caller's limit for calls of its class. A caller whose token is known and who holds permits is admitted without a promise. The
 * services check token, scopes and key once more.
 * @throws EdgeError 400, 401, 403 or 429.
 */
export function admit(admission: Admission, call: EdgeCall): void | Promise<void> {
  try {
    const pending = then(enter(admission, call), () =>
      then(identify(admission, call), (principal) => allow(admission, call, principal)),
    );
    if (pending instanceof Promise) return pending.catch((error: unknown) => refuse(error, call));
  } catch (error) {
    refuse(error, call);
  }
}

/**
 * What nothing answers, or a document does, is counted as well: whoever looks for doors is to knock slowly.
 * @throws EdgeError 429.
 */
export function admitUnmatched(admission: Admission, request: EdgeRequest): void | Promise<void> {
  try {
    const pending = enter(admission, request);
    if (pending instanceof Promise)
      return pending.catch((error: unknown) => {
        throw toEdgeError(error);
      });
  } catch (error) {
    throw toEdgeError(error);
  }
}

/** Goes on at once where it can. */
function then<A, B>(value: A | Promise<A>, next: (value: A) => B | Promise<B>): B | Promise<B> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Before anything is verified: a signature costs more than a lookup, and guesses are to be few. */
function enter(
  { rateLimit, rates }: Pick<Admission, "rateLimit" | "rates">,
  request: EdgeRequest,
): void | Promise<void> {
  const taken = rateLimit.take("address", addressKey(factsOf(request).address));
  return then(taken, (standing) => {
    if (standing.retryAfterMs !== undefined) refuseRate(request, "address", rates.address, standing);
  });
}

function identify(
  { verifier, tickets }: Admission,
  call: EdgeCall,
): Principal | Promise<Principal> | undefined {
  const policy = policyOf(call.method);
  if (policy.anonymous) return undefined;
  return verifier.verify(tokenOf(call, policy, tickets));
}

const scheme = "bearer ";

function tokenOf(call: EdgeCall, { ticketAccepted }: MethodPolicy, tickets: Admission["tickets"]): string {
  const given = call.header("authorization");
  if (given === undefined && ticketAccepted) return tokenOfTicket(call, tickets);
  const isBearer = given?.slice(0, scheme.length).toLowerCase() === scheme;
  if (!given || !isBearer || given.length === scheme.length) throw tokenMissing();
  return given.slice(scheme.length);
}

function tokenOfTicket(call: EdgeCall, tickets: Admission["tickets"]): string {
  const [path = "", query] = call.target.split("?", 2);
  const ticket = new URLSearchParams(query).get(ticketParameter);
  if (!ticket) throw tokenMissing();
  const token = tickets.open(ticket, path);
  call.setMetadata("authorization", `Bearer ${token}`);
  return token;
}

function allow(
  { rateLimit, rates }: Admission,
  call: EdgeCall,
  principal: Principal | undefined,
): void | Promise<void> {
  const policy = policyOf(call.method);
  const facts = factsOf(call);
  if (principal) {
    facts.subject = principal.subject;
    // What one caller is told is not for a cache that others share.
    call.setHeader("cache-control", "no-store");
  }
  for (const scope of policy.scopes) if (!principal?.scopes.has(scope)) throw scopeMissing(scope);
  checkKey(call, policy);
  const rule = ruleOf(policy);
  const caller = principal ? `sub:${principal.subject}` : `ip:${addressKey(facts.address)}`;
  return then(rateLimit.take(rule, caller), (standing) => {
    if (standing.retryAfterMs !== undefined) refuseRate(call, rule, rates[rule], standing);
    tellStanding(call, rule, rates[rule], standing);
  });
}

function checkKey(call: EdgeCall, { idempotencyKeyRequired }: MethodPolicy): void {
  if (!idempotencyKeyRequired) return;
  const key = call.header("idempotency-key");
  if (key === undefined) throw keyMissing();
  if (!keyShape.test(key)) throw keyInvalid();
}

function ruleOf({ rateClass }: MethodPolicy): RateRule {
  switch (rateClass) {
    case RateClass.COSTLY:
      return "costly";
    case RateClass.PROVIDER:
      return "provider";
    default:
      return "ordinary";
  }
}

/**
 * Both forms of the draft (draft-ietf-httpapi-ratelimit-headers): `RateLimit` of today's, and the three fields of the earlier
 * ones, which more clients read.
 */
function tellStanding(call: EdgeRequest, rule: RateRule, rate: Rate, { remaining, resetMs }: Standing): void {
  const { policy, limit } = textsOf(rule, rate);
  const left = String(remaining);
  const resetSeconds = String(Math.ceil(resetMs / 1_000));
  call.setHeader("ratelimit-policy", policy);
  call.setHeader("ratelimit", `"${rule}";r=${left};t=${resetSeconds}`);
  call.setHeader("ratelimit-limit", limit);
  call.setHeader("ratelimit-remaining", left);
  call.setHeader("ratelimit-reset", resetSeconds);
}

interface RateTexts {
  readonly rate: Rate;
  readonly policy: string;
  readonly limit: string;
}

const rateTexts = new Map<RateRule, RateTexts>();

/** What stays the same of a rule's headers. */
function textsOf(rule: RateRule, rate: Rate): RateTexts {
  const known = rateTexts.get(rule);
  if (known?.rate === rate) return known;
  const { burst, perSecond } = rate;
  const policy = `"${rule}";q=${burst};w=${Math.ceil(burst / perSecond)}`;
  const texts = { rate, policy, limit: String(burst) };
  rateTexts.set(rule, texts);
  return texts;
}

function refuseRate(call: EdgeRequest, rule: RateRule, rate: Rate, standing: Standing): never {
  tellStanding(call, rule, rate, standing);
  throw rateLimited(standing.retryAfterMs ?? 0);
}

function refuse(error: unknown, call: EdgeCall): never {
  const refusal = toEdgeError(error);
  if (refusal.code !== unauthenticated) throw refusal;
  // RFC 6750 section 3: a 401 names the scheme, and says what is wrong with a token that was sent.
  const fault = call.header("authorization") === undefined ? "" : ' error="invalid_token"';
  throw toEdgeError(error, { "www-authenticate": `Bearer${fault}` });
}

const unauthenticated = 16;

const tokenMissing = () =>
  serviceError(ErrorReasonSchema, ErrorReason.TOKEN_MISSING, "This needs a bearer token.");

const scopeMissing = (scope: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SCOPE_MISSING, `The token lacks the scope ${scope}.`, {
    metadata: { scope },
  });

const keyMissing = () =>
  serviceError(ErrorReasonSchema, ErrorReason.IDEMPOTENCY_KEY_MISSING, "This needs an Idempotency-Key.");

const keyInvalid = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_INVALID,
    "The Idempotency-Key must be 1 to 255 printable ASCII characters.",
  );

const rateLimited = (retryAfterMs: number) =>
  serviceError(ErrorReasonSchema, ErrorReason.RATE_LIMITED, "Too many requests; try again later.", {
    retryAfterMs,
  });
