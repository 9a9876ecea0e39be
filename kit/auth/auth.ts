// Who is calling, and proof of who we are. A token counts only if the issuer signed it with ES256 for this audience, as
// an access token, and it has not expired; a token that was verified once is answered from memory, synchronously, until
// it expires. Keys may rotate, and an issuer that is away stops nobody whose key is known. Work without a person runs
// under the service's own token, renewed before it ends.
import { jwtVerify } from "jose";
import type { Secret } from "#kit/config/secret.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { createKeySet } from "./key-set.ts";
import { createTokenSource } from "./token-source.ts";
import { createVerifiedTokens } from "./verified-tokens.ts";

/** Who is calling, as their token says. */
export interface Principal {
  /** `sub`: a person's id, or a service's name. */
  readonly subject: string;
  /** `client_id`: the program that holds the token. */
  readonly clientId: string;
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** `exp` in milliseconds of the Unix epoch. */
  readonly expiresAtMs: number;
}
