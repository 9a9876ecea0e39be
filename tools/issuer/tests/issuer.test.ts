import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Issuer, startIssuer } from "../issuer.ts";

const clients = { orders: { secret: "s3cret/+ %", scopes: ["internal:inventory", "internal:payments"] } };
let folder: string;
let issuer: Issuer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "souk-issuer-"));
  issuer = await startIssuer({ port: 0, dataDir: folder, clients });
});
afterAll(async () => {
  await issuer.close();
  rmSync(folder, { recursive: true });
});

async function ask(form: Record<string, string>, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(form);
  const response = await fetch(`${issuer.url}/token`, { method: "POST", headers, body });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

async function verify(token: string, from: Issuer = issuer) {
  const keys = createRemoteJWKSet(new URL(`${from.url}/.well-known/jwks.json`));
  return jwtVerify(token, keys, {
    issuer: issuer.url,
    audience: "souk",
    typ: "at+jwt",
    algorithms: ["ES256"],
  });
}

const development = {
  grant_type: "urn:souk:development",
  sub: "user_one",
  scope: "orders:create orders:read",
};
const service = {
  grant_type: "client_credentials",
  client_id: "orders",
  client_secret: clients.orders.secret,
};

describe("a token for a person", () => {
  test("verifies against the published keys and says who may do what for 15 minutes", async () => {
    const { status, body } = await ask({ ...development, roles: "customer support" });
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 900, scope: "orders:create orders:read" });
    const { payload } = await verify(body.access_token ?? "");
    expect(payload).toMatchObject({
      sub: "user_one",
      scope: development.scope,
      roles: ["customer", "support"],
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900);
  });

  test("is never the same twice", async () => {
    const [one, two] = await Promise.all([ask(development), ask(development)]);
    expect(one.body.access_token).not.toBe(two.body.access_token);
  });

  test.each([
    ["no person", { sub: "" }, "invalid_request"],
    ["a person with spaces", { sub: "a b" }, "invalid_request"],
    ["a malformed scope", { scope: "orders:create <b>" }, "invalid_scope"],
    ["an unknown grant", { grant_type: "password" }, "unsupported_grant_type"],
  ])("is refused to a request with %s", async (_what, change, error) => {
    expect(await ask({ ...development, ...change })).toMatchObject({ status: 400, body: { error } });
  });
});

describe("a token for a service", () => {
  test("carries the service's name and its configured scopes", async () => {
    const { body } = await ask(service);
    const { payload } = await verify(body.access_token ?? "");
    expect(payload).toMatchObject({
      sub: "orders",
      client_id: "orders",
      scope: "internal:inventory internal:payments",
    });
  });

  test("is given for Basic credentials too", async () => {
    const pair = `orders:${encodeURIComponent(clients.orders.secret)}`;
    const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
    expect(await ask({ grant_type: "client_credentials" }, { authorization })).toMatchObject({ status: 200 });
  });

  test("can be narrowed, never widened", async () => {
    expect((await ask({ ...service, scope: "internal:inventory" })).body.scope).toBe("internal:inventory");
    const wider = await ask({ ...service, scope: "internal:inventory catalog:write" });
    expect(wider).toMatchObject({ status: 400, body: { error: "invalid_scope" } });
  });

  test.each([
    ["a wrong secret", { client_secret: "guess" }],
    ["no secret", { client_secret: "" }],
    ["an unknown client", { client_id: "constructor" }],
  ])("is refused for %s", async (_what, change) => {
    expect(await ask({ ...service, ...change })).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
  });
});

test("tokens outlive a restart: the key is kept, readable only by its owner", async () => {
  const { body } = await ask(development);
  const again = await startIssuer({ port: 0, dataDir: folder, clients });
  await verify(body.access_token ?? "", again);
  await again.close();
  expect(statSync(join(folder, "signing-key.json")).mode & 0o077).toBe(0);
});

test("the published keys hold no private part", async () => {
  const response = await fetch(`${issuer.url}/.well-known/jwks.json`);
  expect(await response.json()).toEqual({
    keys: [expect.not.objectContaining({ d: expect.anything() })],
  });
});

/** What the token endpoint answers under a host name. */
async function postTo(port: number, host: string, body: string): Promise<Record<string, string>> {
  const headers = { host, "content-type": "application/x-www-form-urlencoded" };
  const sent = request({ host: "127.0.0.1", port, path: "/token", method: "POST", headers });
  sent.end(body);
  const [response] = await once(sent, "response");
  return (await json(response)) as Record<string, string>;
}

test("a request under another host name gets nothing", async () => {
  expect(await postTo(issuer.port, "evil.example", "")).toEqual({ error: "wrong_host" });
});

test("an issuer with a name puts it into its tokens and answers to it; without one it stays on loopback", async () => {
  const url = "http://issuer:8102";
  await expect(startIssuer({ host: "0.0.0.0", port: 0, dataDir: folder, clients })).rejects.toThrow(
    /HOST must be/,
  );
  const named = await startIssuer({ host: "0.0.0.0", url, port: 0, dataDir: folder, clients });
  expect(named.url).toBe(url);
  const token = (host: string) => postTo(named.port, host, new URLSearchParams(development).toString());
  expect(decodeJwt((await token("issuer:8102")).access_token ?? "").iss).toBe(url);
  expect(await token("evil.example")).toEqual({ error: "wrong_host" });
  await named.close();
});

test("a body that is too large gets 413", async () => {
  expect(await ask({ ...development, scope: "a".repeat(20_000) })).toMatchObject({ status: 413 });
});
