import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from "jose";

/** The one algorithm of the issuer's tokens. */
export const ALGORITHM = "ES256";

/** The key that signs, and what others need to verify. */
export type SigningKey = { keyId: string; privateKey: CryptoKey; publicJwk: JWK };

/** Reads the key from a file that only its owner may read; makes both where there are none. */
export async function readSigningKey(path: string): Promise<SigningKey> {
  if (!existsSync(path)) await createKeyFile(path);
  const jwk: JWK = JSON.parse(readFileSync(path, "utf8"));
  const keyId = await calculateJwkThumbprint(jwk);
  const privateKey = await importJWK(jwk, ALGORITHM);
  if (privateKey instanceof Uint8Array) throw new Error(`${path} holds no ${ALGORITHM} key`);
  const { d: _private, ...publicPart } = jwk;
  return { keyId, privateKey, publicJwk: { ...publicPart, kid: keyId, alg: ALGORITHM, use: "sig" } };
}

async function createKeyFile(path: string): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.new`;
  writeFileSync(unfinished, JSON.stringify(await exportJWK(privateKey)), { mode: 0o600 });
  renameSync(unfinished, path);
}
