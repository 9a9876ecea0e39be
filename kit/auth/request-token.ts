import type { Secret } from "#kit/config/config.ts";

/** A token as the issuer granted it. */
export interface Granted {
  readonly token: string;
  readonly lifeMs: number;
}

/** The issuer refuses these credentials; asking again with them is of no use. */
export class CredentialsRefused extends Error {
  override readonly name = "CredentialsRefused";
}

/** Asks a token endpoint for a token by client credentials (RFC 6749, 4.4). */
export async function requestToken(
  url: string,
  credentials: { readonly clientId: string; readonly clientSecret: Secret },
  signal: AbortSignal,
): Promise<Granted> {
  const response = await fetch(url, {
    method: "POST",
    redirect: "error",
    signal,
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: credentials.clientId,
      client_secret: credentials.clientSecret.reveal(),
    }),
  });
  if (response.ok) return readGranted(await response.json());
  await response.body?.cancel();
  const refused = response.status === 400 || response.status === 401;
  throw new (refused ? CredentialsRefused : Error)(`the token endpoint answered ${response.status}`);
}

function readGranted(body: unknown): Granted {
  const { access_token: token, expires_in: seconds } = (body ?? {}) as Record<string, unknown>;
  if (typeof token !== "string" || token === "") throw new Error("the answer has no access_token");
  if (typeof seconds !== "number" || !(seconds > 0)) throw new Error("the answer has no expires_in");
  return { token, lifeMs: seconds * 1_000 };
}
