/** The person who buys from the command line. */
export const DEMO_CUSTOMER = "user_01j2mdhkv3fh3r8q5w9x7y4zab";

/** The person who settles from the command line what is stuck. */
export const DEMO_OPERATOR = "user_01j2mdhkv3fh3r8q5w9x7y4zad";

/** Everything a customer may do. */
export const CUSTOMER_SCOPES =
  "orders:create orders:read orders:cancel orders:return payments:read shipping:read";

/** Everything an operator may see and do by hand. */
export const OPERATOR_SCOPES = "ops:dead-letters ops:sagas ops:outbox ops:reconciliation";

/** Whose token is asked for, and what it allows. */
export type TokenRequest = { sub: string; scope: string; roles: string };

const TIMEOUT_MS = 5000;

/** Asks the development issuer for a token of a person, good for 15 minutes. Rejects with the issuer's reason. */
export async function fetchToken(issuerUrl: string, { sub, scope, roles }: TokenRequest): Promise<string> {
  const response = await fetch(`${issuerUrl}/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "urn:souk:development", sub, scope, roles }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = (await response.json()) as { access_token?: string; error_description?: string };
  if (answer.access_token !== undefined) return answer.access_token;
  throw new Error(`The issuer refused: ${answer.error_description ?? response.status}`);
}
