import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { SignJWT } from "jose";
import { ALGORITHM, type SigningKey } from "./signing-key.ts";

/** The grant by which anybody on this machine gets a token for any person. */
export const DEVELOPMENT_GRANT = "urn:souk:development";

/** How long a token is good for. */
export const TOKEN_LIFETIME_SECONDS = 900;

/** A program that gets tokens in its own name. */
export type IssuerClient = { secret: string; scopes: readonly string[] };

/** What tokens are made of: who signs, as whom, and which programs are known. */
export type Grants = { issuer: string; key: SigningKey; clients: Readonly<Record<string, IssuerClient>> };

/** An answer of a token endpoint (RFC 6749, 5.1 and 5.2). */
export type TokenAnswer =
  | { status: 200; body: { access_token: string; token_type: "Bearer"; expires_in: number; scope: string } }
  | { status: 400 | 401; body: { error: string; error_description: string } };

type Claims = { sub: string; client_id: string; scope: string; roles: readonly string[] };

const SUBJECT = /^[A-Za-z0-9_.-]{1,100}$/;
const WORD = /^[a-z][a-z0-9:_.-]{0,99}$/;

/** Answers a token request; `basic` are the credentials of its Authorization header, if any. */
export async function answerTokenRequest(
  grants: Grants,
  form: URLSearchParams,
  basic: { id: string; secret: string } | undefined,
): Promise<TokenAnswer> {
  const grant = form.get("grant_type");
  if (grant === DEVELOPMENT_GRANT) return answerDevelopment(grants, form);
  if (grant === "client_credentials") return answerClient(grants, form, basic);
  return refuse("unsupported_grant_type", `grant_type is client_credentials or ${DEVELOPMENT_GRANT}`);
}

async function answerDevelopment(grants: Grants, form: URLSearchParams): Promise<TokenAnswer> {
  const sub = form.get("sub") ?? "";
  const scopes = wordsOf(form.get("scope"));
  const roles = wordsOf(form.get("roles"));
  if (!SUBJECT.test(sub)) return refuse("invalid_request", "sub names the person: user_…");
  if (!scopes.every((scope) => WORD.test(scope)))
    return refuse("invalid_scope", "scopes look like orders:create");
  if (!roles.every((role) => WORD.test(role))) return refuse("invalid_request", "roles look like customer");
  return grantToken(grants, { sub, client_id: "souk-development", scope: scopes.join(" "), roles });
}

async function answerClient(
  grants: Grants,
  form: URLSearchParams,
  basic: { id: string; secret: string } | undefined,
): Promise<TokenAnswer> {
  const id = basic?.id ?? form.get("client_id") ?? "";
  const secret = basic?.secret ?? form.get("client_secret") ?? "";
  const client = Object.hasOwn(grants.clients, id) ? grants.clients[id] : undefined;
  if (!client || !isSame(client.secret, secret)) {
    return {
      status: 401,
      body: { error: "invalid_client", error_description: "unknown client or wrong secret" },
    };
  }
  const asked = wordsOf(form.get("scope"));
  const refused = asked.filter((scope) => !client.scopes.includes(scope));
  if (refused.length > 0) return refuse("invalid_scope", `${id} may not have ${refused.join(" ")}`);
  const scope = (asked.length > 0 ? asked : client.scopes).join(" ");
  return grantToken(grants, { sub: id, client_id: id, scope, roles: ["service"] });
}

async function grantToken({ issuer, key }: Grants, claims: Claims): Promise<TokenAnswer> {
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: ALGORITHM, kid: key.keyId, typ: "at+jwt" })
    .setIssuer(issuer)
    .setAudience("souk")
    .setIssuedAt()
    .setExpirationTime(`${TOKEN_LIFETIME_SECONDS}s`)
    .setJti(randomUUID())
    .sign(key.privateKey);
  const body = { access_token: token, token_type: "Bearer", expires_in: TOKEN_LIFETIME_SECONDS } as const;
  return { status: 200, body: { ...body, scope: claims.scope } };
}

function refuse(error: string, description: string): TokenAnswer {
  return { status: 400, body: { error, error_description: description } };
}

function wordsOf(text: string | null): string[] {
  return (text ?? "").split(" ").filter((word) => word !== "");
}

/** Hashing first makes the lengths equal, which the comparison in constant time needs. */
function isSame(known: string, given: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(known), digest(given));
}
