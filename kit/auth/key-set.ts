import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from "jose";

/** The issuer's keys cannot be had, so nothing can be said about a token. */
export class KeysUnavailable extends Error {
  override readonly name = "KeysUnavailable";
}

/** Where keys come from and how often they are asked for. */
export interface KeySetOptions {
  readonly jwksUrl: string;
  /** Shortest time between two fetches that unknown key ids cause. */
  readonly cooldownMs: number;
}

// Keys that the issuer withdrew count for at most this long, beside the tokens already verified.
const keysMaxAgeMs = 600_000;
const fetchTimeoutMs = 2_000;
// While the issuer is away, callers must not each knock at its door.
const restAfterFailureMs = 1_000;

/** The issuer's keys, fetched when first needed, again when they are old or a token names an unknown key. */
export function createKeySet({ jwksUrl, cooldownMs }: KeySetOptions): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(jwksUrl), {
    cooldownDuration: cooldownMs,
    cacheMaxAge: keysMaxAgeMs,
    timeoutDuration: fetchTimeoutMs,
    [customFetch]: createKeyFetch(),
  });
}

/** Answers with the last good keys when the issuer is away: a key once published stays good longer than an outage. */
function createKeyFetch(): FetchImplementation {
  let lastGood: unknown;
  let failure: { readonly error: KeysUnavailable; readonly atMs: number } | undefined;
  return async (url, init) => {
    const resting = failure !== undefined && performance.now() - failure.atMs < restAfterFailureMs;
    if (!resting) {
      try {
        lastGood = await fetchKeys(url, init);
        failure = undefined;
      } catch (cause) {
        failure = {
          error: new KeysUnavailable("the keys cannot be fetched", { cause }),
          atMs: performance.now(),
        };
      }
    }
    if (lastGood === undefined) throw failure?.error;
    return Response.json(lastGood);
  };
}

async function fetchKeys(...[url, init]: Parameters<FetchImplementation>): Promise<unknown> {
  const response = await fetch(url, init);
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const body = (await response.json()) as { keys?: unknown } | null;
  if (!Array.isArray(body?.keys)) throw new Error("the answer is no key set");
  return body;
}
