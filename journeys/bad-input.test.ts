import { join } from "node:path";
import { type CryptoKey, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { readSigningKey } from "../tools/issuer/signing-key.ts";
import { findFreePort } from "../tools/stores/free-port.ts";
import { unacceptableOrders, unreadableOrders } from "./bad-orders.ts";
import { type Answer, leaks, type RestRequest, send } from "./rest.ts";
import { type Goods, openShop, type Person, purchaseBody } from "./shop.ts";

const page = "https://shop.example";
const shop = openShop({ gateway: { CORS_ORIGINS: page } });
let buyer: Person;
let goods: Goods;

beforeAll(async () => {
  [buyer, goods] = await Promise.all([shop().person(), shop().sell(100)]);
});

interface ShownProblem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly reason: string;
  readonly field?: string;
  readonly violations?: readonly { readonly field: string }[];
}

/** Checks that an answer is a refusal somebody can act on. */
function expectProblem(answer: Answer, status: number, reason: string | RegExp, field?: string) {
  const problem = answer.body as ShownProblem;
  expect([answer.status, problem], answer.text).toMatchObject([status, { status }]);
  expect(problem.reason).toMatch(reason instanceof RegExp ? reason : new RegExp(`^${reason}$`));
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.headers.get("x-correlation-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(answer.text).not.toMatch(leaks);
  const fields = [problem.field, ...(problem.violations ?? []).map((violation) => violation.field)];
  if (field !== undefined) expect(fields).toContain(field);
}

const place = (body: RestRequest["body"], more: Omit<RestRequest, "body"> = {}) =>
  shop().rest("POST", "/v1/orders", {
    token: buyer.token,
    key: crypto.randomUUID(),
    ...(body !== undefined && { body }),
    ...more,
  });

describe("an order that cannot be read", () => {
  test.each(unreadableOrders)("%s is refused", async (_, body, status, reason, field) => {
    expectProblem(await place(body(goods)), status, reason, field);
  });
});

describe("an order that can be read but not accepted", () => {
  test.each(unacceptableOrders)("%s is refused", async (_, body, status, reason, field) => {
    expectProblem(await place(body(goods)), status, reason, field);
  });
});

describe("a request that is not one", () => {
  test("a body over the limit is refused, with or without its length", async () => {
    const large = JSON.stringify(purchaseBody({ goods })).replace("Samira", "S".repeat(300_000));
    expectProblem(await place(large), 413, "REQUEST_TOO_LARGE");
    const unmeasured = await fetch(`${shop().gatewayUrl}/v1/orders`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${buyer.token}`,
        "content-type": "application/json",
        "idempotency-key": crypto.randomUUID(),
      },
      body: new Blob([large]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(unmeasured.status).toBe(413);
  });

  test.each([
    ["POST", "/v1/orders/1/2/3", 404],
    ["DELETE", "/v1/orders", 405],
    ["GET", "/v1/orders/..%2f..%2fetc", 400],
    ["GET", "/v1/orders/%zz", 400],
    ["GET", "/v1/products?page_size=ten", 400],
    ["GET", "/v1/products?page_size=-1", 400],
    ["GET", "/v1/products?page_size=1&page_size=2", 400],
    ["GET", "/v1/products:search?query=%00", 400],
  ])("%s %s is refused", async (method, path, status) => {
    expectProblem(await shop().rest(method, path, { token: buyer.token }), status, /./);
  });

  test("a body of another type is refused", async () => {
    const headers = { "content-type": "text/xml" };
    expectProblem(await place("<order/>", { headers }), 415, /./);
  });
});

describe("a token that is not good", () => {
  const claims = () => ({
    sub: buyer.sub,
    scope: "orders:create orders:read",
    client_id: "x",
    roles: ["customer"],
  });

  interface Forgery {
    readonly key: CryptoKey;
    readonly kid?: string;
    readonly issuer?: string;
    readonly audience?: string;
    readonly typ?: string;
    readonly expires?: string;
  }

  function sign({ key, kid = "", typ = "at+jwt", expires = "15m", ...names }: Forgery): Promise<string> {
    const token = new SignJWT(claims()).setProtectedHeader({ alg: "ES256", typ, kid });
    token.setIssuer(names.issuer ?? shop().issuerUrl).setAudience(names.audience ?? "souk");
    return token.setIssuedAt().setJti(crypto.randomUUID()).setExpirationTime(expires).sign(key);
  }

  /** Signed with a key of somebody else's. */
  const forged = async (issuer: string) => sign({ key: (await generateKeyPair("ES256")).privateKey, issuer });

  /** Signed with the issuer's own key, and wrong in one thing. */
  async function genuine(wrong: Partial<Forgery>) {
    const path = join(shop().processes.folder, "issuer", "signing-key.json");
    const { privateKey, keyId } = await readSigningKey(path);
    return await sign({ key: privateKey, kid: keyId, ...wrong });
  }

  test("a token made here by the issuer's key is good, so that the next ones are refused for what is wrong in them", async () => {
    const answer = await shop().rest("GET", "/v1/orders", { token: await genuine({}) });
    expect(answer.status).toBe(200);
  });

  function unsigned() {
    const token = new UnsecuredJWT(claims()).setIssuer(shop().issuerUrl).setAudience("souk");
    return token.setExpirationTime("15m").encode();
  }

  function tampered() {
    const [head, body = "", signature] = buyer.token.split(".");
    const changed = { ...JSON.parse(Buffer.from(body, "base64url").toString()), scope: "payments:refund" };
    return [head, Buffer.from(JSON.stringify(changed)).toString("base64url"), signature].join(".");
  }

  test("none is refused, and told how to come back", async () => {
    const answer = await shop().rest("GET", "/v1/orders");
    expectProblem(answer, 401, "TOKEN_MISSING");
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  test.each<[string, () => string | Promise<string>]>([
    ["a word", () => "letmein"],
    ["one with algorithm none", unsigned],
    ["one whose claims were changed", tampered],
    ["one signed by somebody else in the issuer's name", () => forged(shop().issuerUrl)],
    ["one of another issuer", () => forged("https://issuer.example")],
    ["one that has expired", () => genuine({ expires: "-1m" })],
    ["one for somebody else's ears", () => genuine({ audience: "bazaar" })],
    ["an identity token", () => genuine({ typ: "JWT" })],
    ["a very long one", () => "a".repeat(7_000)],
  ])("%s is refused", async (_, token) => {
    const answer = await shop().rest("GET", "/v1/orders", { token: await token() });
    expectProblem(answer, 401, "TOKEN_INVALID");
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/);
  });

  test("one without the scope is refused by the scope's name", async () => {
    const reader = await shop().person("orders:read");
    const answer = await place(purchaseBody({ goods }), { token: reader.token });
    expectProblem(answer, 403, "SCOPE_MISSING");
    expect(answer.body).toMatchObject({ metadata: { scope: "orders:create" } });
  });
});

describe("a page in a browser", () => {
  const preflight = (origin: string) =>
    shop().rest("OPTIONS", "/v1/orders", {
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
      },
    });

  test("of an origin on the list may call and read", async () => {
    const asked = await preflight(page);
    expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([204, page]);
    const allowed = asked.headers.get("access-control-allow-headers") ?? "";
    expect(allowed.split(", ")).toEqual(expect.arrayContaining(["authorization", "idempotency-key"]));
    const read = await shop().rest("GET", "/v1/categories", { headers: { origin: page } });
    expect(read.headers.get("access-control-allow-origin")).toBe(page);
  });

  test.each(["https://shop.example.evil", "http://shop.example", "null", "https://other.example"])(
    "of %s may not",
    async (origin) => {
      const answers = [
        await preflight(origin),
        await shop().rest("GET", "/v1/categories", { headers: { origin } }),
      ];
      for (const { headers } of answers) {
        expect(headers.get("access-control-allow-origin")).toBeNull();
        expect(headers.get("access-control-allow-headers")).toBeNull();
      }
    },
  );

  test("learns why it was refused as well", async () => {
    const answer = await shop().rest("GET", "/v1/orders", { headers: { origin: page } });
    expectProblem(answer, 401, "TOKEN_MISSING");
    expect(answer.headers.get("access-control-allow-origin")).toBe(page);
  });
});

test("who asks too often is told when to come back, and others are not held up", async () => {
  const [gateway, metrics] = [await findFreePort(), await findFreePort()];
  const limit = { RATE_LIMIT_PER_SECOND: "4", RATE_LIMIT_BURST: "8" };
  await shop().processes.startAnother("gateway", { gateway, "gateway-metrics": metrics }, limit);
  const list = ({ token }: Person) => send(`http://127.0.0.1:${gateway}/v1/orders`, "GET", { token });
  const hasty = await shop().person();
  const answers = await Promise.all(Array.from({ length: 40 }, () => list(hasty)));
  const [taken, refused] = [200, 429].map((status) => answers.filter((answer) => answer.status === status));
  expect((taken?.length ?? 0) + (refused?.length ?? 0)).toBe(40);
  expect(taken?.length).toBeGreaterThanOrEqual(8);
  expect(taken?.length).toBeLessThan(20);
  for (const answer of refused ?? []) {
    expectProblem(answer, 429, "RATE_LIMITED");
    expect(answer.headers.get("retry-after")).toMatch(/^[1-3]$/);
  }
  expect((await list(await shop().person())).status).toBe(200);
  await eventually(async () => expect((await list(hasty)).status).toBe(200), 3_000);
});

test("nothing of all this has ordered anything", async () => {
  const { body } = await shop().rest("GET", "/v1/orders", { token: buyer.token });
  expect(body).toMatchObject({ orders: [] });
  expect(await shop().stock(goods)).toEqual({ onHand: 100, reserved: 0 });
});
