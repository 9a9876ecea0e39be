import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { createServiceToken, createTokenVerifier } from "./auth.ts";

const releases: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const release of releases.splice(0).reverse()) await release();
});

async function listen(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  releases.push(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

async function newKey(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  return {
    kid,
    privateKey,
    publicKey,
    jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" },
  };
}

type Key = Awaited<ReturnType<typeof newKey>>;

async function startIssuer() {
  const key = await newKey("key-1");
  const state = { keys: [key.jwk] as JWK[], fetches: 0, status: 200 };
  const { url, close } = await listen((request, response) => {
    if (request.url !== "/.well-known/jwks.json") return void response.writeHead(404).end();
    state.fetches++;
    response.writeHead(state.status).end(JSON.stringify({ keys: state.keys }));
  });
  return { url, close, key, state };
}

type Issuer = Awaited<ReturnType<typeof startIssuer>>;

interface Forged {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly signWith?: CryptoKey | Uint8Array;
  /** Header names that whoever checks the token must understand. */
  readonly crit?: Record<string, boolean>;
}

function token(issuer: Issuer, { claims, header, signWith, crit = {} }: Forged = {}, key: Key = issuer.key) {
  const now = Math.floor(Date.now() / 1_000);
  const payload = {
    iss: issuer.url,
    aud: "souk",
    sub: "user_ada",
    client_id: "web",
    scope: "orders:create orders:read",
    roles: ["customer"],
    iat: now,
    exp: now + 900,
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: "ES256", kid: key.kid, typ: "at+jwt", ...header })
    .sign(signWith ?? key.privateKey, { crit });
}

describe("a bearer token", () => {
  let issuer: Issuer;
  beforeEach(async () => {
    issuer = await startIssuer();
  });
  const verifier = (options = {}) => createTokenVerifier({ issuer: issuer.url, ...options });
  const refusal = {
    name: "ServiceError",
    reason: "TOKEN_INVALID",
    message: "The bearer token is not valid.",
  };

  it("of the issuer names the caller", async () => {
    const principal = await verifier().verify(await token(issuer));
    expect(principal).toEqual({
      subject: "user_ada",
      clientId: "web",
      scopes: new Set(["orders:create", "orders:read"]),
      roles: new Set(["customer"]),
      expiresAtMs: expect.closeTo(Date.now() + 900_000, -4),
    });
  });

  it("without scopes and roles gives none", async () => {
    const plain = await token(issuer, { claims: { scope: undefined, roles: undefined } });
    expect(await verifier().verify(plain)).toMatchObject({ scopes: new Set(), roles: new Set() });
  });

  it("verified before is answered at once, without a promise", async () => {
    const { verify } = verifier();
    const text = await token(issuer);
    const first = await verify(text);
    expect(verify(text)).toBe(first);
  });

  it("that many send at the same time is verified once", async () => {
    const { verify } = verifier();
    const text = await token(issuer);
    const principals = await Promise.all(Array.from({ length: 50 }, () => verify(text)));
    expect(new Set(principals).size).toBe(1);
    expect(issuer.state.fetches).toBe(1);
  });

  it("that was good before is refused once it has expired", async () => {
    const { verify } = verifier();
    const text = await token(issuer);
    await verify(text);
    // Tokens tell whole seconds, so this one's 900 may be 899 and a bit.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 898_000 });
    expect(verify(text)).toMatchObject({ subject: "user_ada" });
    vi.setSystemTime(Date.now() + 8_000);
    await expect(verify(text)).rejects.toMatchObject(refusal);
  });

  const now = () => Math.floor(Date.now() / 1_000);
  it.each<[string, (its: Issuer) => Promise<string> | string]>([
    [
      "is unsigned (alg none)",
      (its) =>
        new UnsecuredJWT({ sub: "user_ada", client_id: "web" })
          .setIssuer(its.url)
          .setAudience("souk")
          .setExpirationTime("1h")
          .setIssuedAt()
          .encode(),
    ],
    [
      "is signed with the public key as an HMAC secret",
      async (its) =>
        token(its, {
          header: { alg: "HS256" },
          signWith: new TextEncoder().encode(await exportSPKI(its.key.publicKey)),
        }),
    ],
    [
      "is signed by another key under a known id",
      async (its) => token(its, { signWith: (await newKey("key-1")).privateKey }),
    ],
    ["is of another issuer", (its) => token(its, { claims: { iss: "https://elsewhere.example" } })],
    ["is for another audience", (its) => token(its, { claims: { aud: "bank" } })],
    ["is for nobody", (its) => token(its, { claims: { aud: undefined } })],
    ["is an id token, not an access token", (its) => token(its, { header: { typ: "JWT" } })],
    ["has no type", (its) => token(its, { header: { typ: undefined } })],
    ["has expired", (its) => token(its, { claims: { exp: now() - 10 } })],
    ["never expires", (its) => token(its, { claims: { exp: undefined } })],
    ["is not yet valid", (its) => token(its, { claims: { nbf: now() + 60 } })],
    ["names nobody", (its) => token(its, { claims: { sub: undefined } })],
    ["names an empty subject", (its) => token(its, { claims: { sub: "" } })],
    ["names no program", (its) => token(its, { claims: { client_id: undefined } })],
    ["lists its scopes as numbers", (its) => token(its, { claims: { scope: 7 } })],
    ["lists roles that are no texts", (its) => token(its, { claims: { roles: [{ admin: true }] } })],
    [
      "asks for an extension nobody knows",
      (its) => token(its, { header: { crit: ["urn:x"], "urn:x": 1 }, crit: { "urn:x": true } }),
    ],
    ["is empty", () => ""],
    ["is not a token", () => "hello.this.isnot"],
    ["is longer than any token", (its) => token(its, { claims: { padding: "x".repeat(9_000) } })],
    [
      "was altered after it was signed",
      async (its) => {
        const [header, payload = "", signature] = (await token(its)).split(".");
        const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
        const altered = Buffer.from(JSON.stringify({ ...claims, scope: "payments:refund" })).toString(
          "base64url",
        );
        return [header, altered, signature].join(".");
      },
    ],
  ])("that %s is refused", async (_what, forge) => {
    const { verify } = verifier();
    await verify(await token(issuer));
    await expect(verify(await forge(issuer))).rejects.toMatchObject(refusal);
  });

  it("that is refused is refused again, not remembered as good", async () => {
    const { verify } = verifier();
    const text = await token(issuer, { claims: { aud: "bank" } });
    await expect(verify(text)).rejects.toMatchObject(refusal);
    await expect(verify(text)).rejects.toMatchObject(refusal);
  });
});

describe("the issuer's keys", () => {
  let issuer: Issuer;
  beforeEach(async () => {
    issuer = await startIssuer();
  });

  it("are fetched at most once per cooldown, whatever key ids tokens name", async () => {
    const { verify } = createTokenVerifier({ issuer: issuer.url, keysCooldownMs: 30_000 });
    const strangers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => token(issuer, {}, await newKey(`stranger-${index}`))),
    );
    for (const stranger of strangers)
      await expect(verify(stranger)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
    expect(issuer.state.fetches).toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31_000 });
    for (const stranger of strangers)
      await expect(verify(stranger)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
    expect(issuer.state.fetches).toBe(2);
  });

  it("may rotate: tokens of the new key are good, those of the old one stay good while it is published", async () => {
    const { verify } = createTokenVerifier({ issuer: issuer.url, keysCooldownMs: 0 });
    await verify(await token(issuer));
    const next = await newKey("key-2");
    issuer.state.keys = [issuer.key.jwk, next.jwk];
    expect(await verify(await token(issuer, {}, next))).toMatchObject({ subject: "user_ada" });
    expect(await verify(await token(issuer, { claims: { sub: "user_bob" } }))).toMatchObject({
      subject: "user_bob",
    });
  });

  it("that were withdrawn count no more once they are fetched again", async () => {
    const { verify } = createTokenVerifier({ issuer: issuer.url });
    await verify(await token(issuer));
    issuer.state.keys = [(await newKey("key-2")).jwk];
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 601_000 });
    await expect(verify(await token(issuer, { claims: { sub: "user_bob" } }))).rejects.toMatchObject({
      reason: "TOKEN_INVALID",
    });
  });

  it("that cannot be had make the caller try again, and are not asked for on each call", async () => {
    issuer.state.status = 500;
    const { verify } = createTokenVerifier({ issuer: issuer.url });
    for (const sub of ["a", "b", "c"]) {
      await expect(verify(await token(issuer, { claims: { sub } }))).rejects.toMatchObject({
        reason: "DEPENDENCY_UNAVAILABLE",
      });
    }
    expect(issuer.state.fetches).toBe(1);
    issuer.state.status = 200;
    const text = await token(issuer);
    await expect
      .poll(() => Promise.resolve(verify(text)).catch(() => undefined), { timeout: 3_000 })
      .toBeDefined();
  });

  it("once known stay good while the issuer is away", async () => {
    const { verify } = createTokenVerifier({ issuer: issuer.url });
    await verify(await token(issuer));
    const another = await token(issuer, { claims: { sub: "user_bob" } });
    await issuer.close();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 601_000 });
    await expect(verify(await token(issuer, { claims: { sub: "user_eve" } }))).resolves.toMatchObject({
      subject: "user_eve",
    });
    expect(await verify(another)).toMatchObject({ subject: "user_bob" });
  });
});

describe("a service's own token", () => {
  async function startTokenEndpoint() {
    const state = { status: 200, expiresIn: 900 as unknown, forms: [] as Record<string, string>[] };
    const { url } = await listen(async (request, response) => {
      const body = (await request.toArray()).join("");
      state.forms.push(Object.fromEntries(new URLSearchParams(body)));
      if (request.url !== "/token" || request.method !== "POST") return void response.writeHead(404).end();
      const answer = {
        access_token: `token-${state.forms.length}`,
        token_type: "Bearer",
        expires_in: state.expiresIn,
      };
      response.writeHead(state.status).end(JSON.stringify(answer));
    });
    const own = createServiceToken({ issuer: url, clientId: "orders", clientSecret: new Secret("s3cret") });
    releases.push(() => own.close());
    return { own, state };
  }
  const pass = (ms: number) =>
    vi.isFakeTimers()
      ? void vi.setSystemTime(Date.now() + ms)
      : void vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });

  it("is asked for with the client's credentials, once for all who wait", async () => {
    const { own, state } = await startTokenEndpoint();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => own.current()));
    expect(new Set(tokens)).toEqual(new Set(["token-1"]));
    expect(state.forms).toEqual([
      { grant_type: "client_credentials", client_id: "orders", client_secret: "s3cret" },
    ]);
  });

  it("that is there is answered at once, without a promise", async () => {
    const { own } = await startTokenEndpoint();
    await own.current();
    expect(own.current()).toBe("token-1");
  });

  it("is renewed from two thirds of its life on while callers go on with the old one", async () => {
    const { own, state } = await startTokenEndpoint();
    await own.current();
    pass(599_000);
    expect(own.current()).toBe("token-1");
    expect(state.forms).toHaveLength(1);
    pass(2_000);
    expect([own.current(), own.current()]).toEqual(["token-1", "token-1"]);
    await expect.poll(() => own.current()).toBe("token-2");
    expect(state.forms).toHaveLength(2);
  });

  it("that has ended is not sent any more", async () => {
    const { own } = await startTokenEndpoint();
    await own.current();
    pass(900_000);
    expect(await own.current()).toBe("token-2");
  });

  it("is asked for again when the issuer stumbles", async () => {
    const { own, state } = await startTokenEndpoint();
    state.status = 503;
    const waiting = own.current();
    await expect.poll(() => state.forms.length).toBeGreaterThanOrEqual(2);
    state.status = 200;
    expect(await waiting).toMatch(/^token-\d+$/);
  });

  it("stays in use when it cannot be renewed, and is not asked for on each call", async () => {
    const { own, state } = await startTokenEndpoint();
    await own.current();
    state.status = 401;
    pass(650_000);
    expect(own.current()).toBe("token-1");
    await expect.poll(() => state.forms.length).toBe(2);
    for (let call = 0; call < 20; call++) expect(await own.current()).toBe("token-1");
    expect(state.forms.length).toBeLessThanOrEqual(3);
  });

  it("is asked for again when the issuer's answer is no token", async () => {
    const { own, state } = await startTokenEndpoint();
    state.expiresIn = "soon";
    const waiting = own.current();
    await expect.poll(() => state.forms.length).toBeGreaterThanOrEqual(2);
    state.expiresIn = 900;
    expect(await waiting).toMatch(/^token-\d+$/);
  });

  it("cannot be had with credentials that are refused, until they are accepted", async () => {
    const { own, state } = await startTokenEndpoint();
    state.status = 401;
    await expect(own.current()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect(state.forms).toHaveLength(1);
    state.status = 200;
    expect(await own.current()).toBe("token-2");
  });

  it("that is being asked for ends with the service", async () => {
    const { own, state } = await startTokenEndpoint();
    state.status = 503;
    const waiting = own.current();
    own.close();
    await expect(waiting).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    await expect(own.current()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  });
});
