import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCertificate } from "#edge/tests/certificate.ts";
import { GatewayService } from "#gen/souk/gateway/v1/gateway_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { Secret } from "#kit/config/config.ts";
import { createClient } from "#kit/rpc/client.ts";
import type { RunningService } from "#kit/service/service.ts";
import { eventually, fetchTestToken, testEnvironment } from "#kit/testing/testing.ts";
import { startGateway } from "../gateway.ts";
import { createTickets } from "../tickets.ts";

// No backend listens: what is tested here is decided before a call goes on.
const nowhere = "http://127.0.0.1:1";
const origin = "https://shop.example";
const committedDocument = new URL("../../../docs/openapi.json", import.meta.url);
const orderId = "order_01jd7f3v8qe9wv0c1a2d3f4g5h";

let gateway: RunningService;
let url: string;
let token: string;

function startForTest(env: Readonly<Record<string, string>> = {}): Promise<RunningService> {
  const { redisUrl, issuerUrl, logLevel } = testEnvironment();
  const backends = ["CATALOG", "INVENTORY", "ORDERS", "PAYMENTS", "SHIPPING"].map((name) => [
    `${name}_URL`,
    nowhere,
  ]);
  return startGateway({
    ...Object.fromEntries(backends),
    ENVIRONMENT: "test",
    // A backend that is away is a warning for each request.
    LOG_LEVEL: logLevel,
    PORT: "0",
    METRICS_PORT: "0",
    REDIS_URL: redisUrl,
    TOKEN_ISSUER: issuerUrl,
    CORS_ORIGINS: origin,
    ...env,
  });
}

const urlOf = ({ port }: RunningService) => `http://127.0.0.1:${port}`;

beforeAll(async () => {
  gateway = await startForTest();
  url = urlOf(gateway);
  token = await fetchTestToken({ sub: "user_gateway", scope: "orders:read" });
});
afterAll(() => gateway?.stop());

const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

async function get(path: string, headers: Readonly<Record<string, string>> = {}, base = url) {
  const answer = await fetch(base + path, { headers });
  return { status: answer.status, headers: answer.headers, problem: await answer.json() };
}

async function metricsOf({ metricsPort }: RunningService): Promise<string[]> {
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  return (await answer.text()).split("\n");
}

describe("every answer", () => {
  test("is marked as data for browsers, refused or not matched at all", async () => {
    for (const path of [`/v1/orders/${orderId}`, "/v1/products", "/no/such/route"]) {
      const { headers } = await get(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    }
  });

  test("to a caller who is counted says how that caller stands", async () => {
    const { headers } = await get("/v1/products");
    expect(headers.get("ratelimit-policy")).toBe('"ordinary";q=100;w=2');
    expect(headers.get("ratelimit")).toMatch(/^"ordinary";r=\d+;t=[0-2]$/);
    expect(headers.get("ratelimit-limit")).toBe("100");
    expect(Number(headers.get("ratelimit-remaining"))).toBeLessThan(100);
  });

  test("carries the correlation id of its request, refused or not matched at all", async () => {
    const headers = { "x-correlation-id": "visit-42" };
    for (const path of [`/v1/orders/${orderId}`, "/v1/products", "/no/such/route"])
      expect((await get(path, headers)).headers.get("x-correlation-id")).toBe("visit-42");
  });

  test("has a correlation id of ours where the request's is none", async () => {
    const { headers } = await get("/v1/products", { "x-correlation-id": "two words" });
    expect(headers.get("x-correlation-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("that refuses is a problem document", async () => {
    const { headers, problem } = await get(`/v1/orders/${orderId}`);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(problem).toMatchObject({
      type: "urn:souk:problem:token-missing",
      title: "Unauthorized",
      status: 401,
      code: "UNAUTHENTICATED",
      reason: "TOKEN_MISSING",
      domain: "errors.souk",
    });
  });
});

describe("a request", () => {
  test("without a token, or with a bad one, is answered 401 and told which scheme", async () => {
    for (const headers of [{}, bearer("nonsense"), bearer(`${token.slice(0, -4)}AAAA`)]) {
      const answer = await get(`/v1/orders/${orderId}`, headers);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/);
    }
  });

  test("whose token lacks the scope is answered 403, with the scope's name", async () => {
    const poor = await fetchTestToken({ sub: "user_gateway", scope: "catalog:write" });
    const { status, problem } = await get(`/v1/orders/${orderId}`, bearer(poor));
    expect(status).toBe(403);
    expect(problem).toMatchObject({ reason: "SCOPE_MISSING", metadata: { scope: "orders:read" } });
  });

  test("that is admitted goes on: here to nobody, which is a 503", async () => {
    for (const [path, headers] of [
      [`/v1/orders/${orderId}`, bearer(token)],
      ["/v1/products", {}],
    ] as const)
      expect(await get(path, headers)).toMatchObject({
        status: 503,
        problem: { reason: "BACKEND_UNREACHABLE" },
      });
  });

  test("of an operator goes to the service it names, and nowhere where there is none", async () => {
    const operator = bearer(await fetchTestToken({ sub: "user_operator", scope: "ops:dead-letters" }));
    expect(await get("/v1/ops/orders/dead-letters", operator)).toMatchObject({
      status: 503,
      problem: { reason: "BACKEND_UNREACHABLE" },
    });
    expect(await get("/v1/ops/laundry/dead-letters", operator)).toMatchObject({
      status: 404,
      problem: { reason: "SERVICE_UNKNOWN", domain: "ops.souk", metadata: { service: "laundry" } },
    });
    expect(await get("/v1/ops/orders/dead-letters", bearer(token))).toMatchObject({
      status: 403,
      problem: { reason: "SCOPE_MISSING", metadata: { scope: "ops:dead-letters" } },
    });
  });

  test("that the gateway itself answers is refused like any other, in each protocol", async () => {
    const path = `/v1/orders/${orderId}/details`;
    expect(await get(path)).toMatchObject({ status: 401, problem: { reason: "TOKEN_MISSING" } });
    expect(await get(path, bearer(token))).toMatchObject({
      status: 503,
      problem: { reason: "DEPENDENCY_UNAVAILABLE" },
    });
    const own = () => Promise.resolve(token);
    const grpc = createClient(GatewayService, { url, token: own });
    await expect(grpc.getOrderDetails({ orderId })).rejects.toMatchObject({ code: 14 });
    grpc.close();
  });

  test("for what only services may call finds nothing, in any protocol", async () => {
    const own = bearer(await fetchTestToken({ service: "orders" }));
    const ask = (contentType: string) =>
      fetch(`${url}/souk.inventory.v1.InventoryService/ReserveStock`, {
        method: "POST",
        headers: { ...own, "content-type": contentType, "idempotency-key": "1" },
        body: contentType.endsWith("json") ? "{}" : "",
      });
    for (const type of ["application/json", "application/proto", "application/grpc-web+proto"])
      expect((await ask(type)).status).toBe(404);
    const grpc = createClient(InventoryService, { url, token: () => fetchTestToken({ service: "orders" }) });
    const reserving = grpc.reserveStock({ orderId }, { idempotencyKey: "1" });
    await expect(reserving).rejects.toMatchObject({ code: 12 });
    grpc.close();
  });

  test("from a page is answered to the pages allowed, and to no others", async () => {
    const allowed = async (from: string) =>
      (await get("/v1/products", { origin: from })).headers.get("access-control-allow-origin");
    expect(await allowed(origin)).toBe(origin);
    expect(await allowed("https://elsewhere.example")).toBeNull();
  });
});

/** Asks for a WebSocket as a page does; the status of the answer. */
function openWebSocket(port: number, path: string, from: string): Promise<number> {
  const headers = {
    origin: from,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.from("sixteen bytes ok").toString("base64"),
  };
  return new Promise((resolve, reject) => {
    const asking = request({ host: "127.0.0.1", port, path, headers });
    asking.on("upgrade", (_answer, socket) => {
      socket.destroy();
      resolve(101);
    });
    asking.on("response", (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asking.on("error", reject).end();
  });
}

const key = "of the gateways that share it: 32 and more";

describe("a watch ticket", () => {
  const path = `/v1/orders/${orderId}:watch`;
  test("stands for the token at each gateway that has the key, for its order only", async () => {
    await using own = disposable(await startForTest({ TICKET_KEY: key }));
    const tickets = createTickets({ key: new Secret(key), lifeMs: 60_000 });
    const { ticket } = tickets.issue(path, token, Date.now() + 60_000);
    const base = urlOf(own.service);
    const reached = { status: 503, problem: { reason: "BACKEND_UNREACHABLE" } };
    expect(await get(`${path}?ticket=${ticket}`, {}, base)).toMatchObject(reached);
    const invalid = { status: 401, problem: { reason: "TICKET_INVALID" } };
    const other = "/v1/orders/order_01jd7f3v8qe9wv0c1a2d3f4g5j:watch";
    expect(await get(`${other}?ticket=${ticket}`, {}, base)).toMatchObject(invalid);
    expect(await get(`${path}?ticket=${ticket}`)).toMatchObject(invalid);
    const elsewhere = { status: 401, problem: { reason: "TOKEN_MISSING" } };
    expect(await get(`/v1/orders/${orderId}?ticket=${ticket}`, {}, base)).toMatchObject(elsewhere);
  });
});

describe("a gateway that is told so", () => {
  test("believes its proxies about where a request is from, and nobody else", async () => {
    await using own = disposable(
      await startForTest({ TRUSTED_PROXIES: "127.0.0.0/8", DENIED_ADDRESSES: "203.0.113.0/24" }),
    );
    const from = (chain: string, base = url) => get("/v1/products", { "x-forwarded-for": chain }, base);
    const trusting = urlOf(own.service);
    expect(await from("203.0.113.9", trusting)).toMatchObject({
      status: 403,
      problem: { reason: "ADDRESS_REFUSED" },
    });
    expect((await from("203.0.113.9, 198.51.100.1", trusting)).status).toBe(503);
    expect((await from("203.0.113.9")).status).toBe(503);
  });

  test("opens WebSockets for the pages named and its own, and for no others, by a ticket where they have no token", async () => {
    const page = "https://page.example";
    await using own = disposable(await startForTest({ WEBSOCKET_ORIGINS: page, TICKET_KEY: key }));
    const path = `/v1/orders/${orderId}:watch`;
    const tickets = createTickets({ key: new Secret(key), lifeMs: 60_000 });
    const { ticket } = tickets.issue(path, token, Date.now() + 60_000);
    const opened = (target: string, from: string) => openWebSocket(own.service.port, target, from);
    for (const from of [page, urlOf(own.service)])
      expect(await opened(`${path}?ticket=${ticket}`, from)).toBe(101);
    for (const from of [origin, "https://elsewhere.example", "null"])
      expect(await opened(`${path}?ticket=${ticket}`, from)).toBe(403);
    expect(await opened(path, page)).toBe(401);
  });

  test("speaks TLS by the files it is given, and nothing else on that port", async () => {
    const folder = mkdtempSync(join(tmpdir(), "souk-gateway-"));
    const { cert, key: pem } = makeCertificate("shop");
    const [TLS_CERT_FILE, TLS_KEY_FILE] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(TLS_CERT_FILE, cert);
    writeFileSync(TLS_KEY_FILE, pem);
    await using own = disposable(await startForTest({ TLS_CERT_FILE, TLS_KEY_FILE, HSTS_SECONDS: "600" }));
    const { port } = own.service;
    const status = await new Promise((resolve, reject) => {
      const target = { host: "127.0.0.1", port, path: "/v1/orders", ca: cert };
      const asking = https.request(target, (answer) => {
        answer.resume();
        resolve([answer.statusCode, answer.headers["strict-transport-security"]]);
      });
      asking.on("error", reject).end();
    });
    expect(status).toEqual([401, "max-age=600"]);
    await expect(fetch(`${urlOf(own.service)}/v1/orders`)).rejects.toThrow();
    rmSync(folder, { recursive: true });
  });

  test("serves only its own hosts, and says so in every protocol", async () => {
    await using own = disposable(await startForTest({ ALLOWED_HOSTS: "shop.example" }));
    const base = urlOf(own.service);
    expect(await get("/v1/products", {}, base)).toMatchObject({
      status: 421,
      problem: { reason: "HOST_NOT_SERVED" },
    });
    const grpc = createClient(GatewayService, { url: base, token: () => Promise.resolve(token) });
    await expect(grpc.getOrderDetails({ orderId })).rejects.toMatchObject({ reason: "HOST_NOT_SERVED" });
    grpc.close();
  });
});

describe("the reference", () => {
  const load = async (path: string) => {
    const answer = await fetch(url + path);
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };

  test("is a document of the routes served, to anybody", async () => {
    const { status, headers, text } = await load("/openapi.json");
    expect([status, headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(committedDocument, "utf8")));
  });

  test("of what is announced is a document beside it, which it links to", async () => {
    const { status, headers, text } = await load("/asyncapi.json");
    expect([status, headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    const committed = readFileSync(new URL("../../../docs/asyncapi.json", import.meta.url), "utf8");
    expect(JSON.parse(text)).toEqual(JSON.parse(committed));
    expect(JSON.parse((await load("/openapi.json")).text).info.description).toContain("](/asyncapi.json)");
  });

  test("is a page that takes everything from here, and runs nothing that is no file", async () => {
    expect((await load("/docs/")).status).toBe(200);
    const { status, headers, text } = await load("/docs");
    expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const parts = Array.from(text.matchAll(/(?:src|href)="([^"]+)"/g), ([, path = ""]) => path);
    expect(parts).toHaveLength(4);
    for (const part of parts) {
      expect(part).toMatch(/^\/docs\//);
      const loaded = await load(part);
      expect([part, loaded.status, loaded.text.length > 100]).toEqual([part, 200, true]);
      expect(loaded.headers.get("x-content-type-options")).toBe("nosniff");
    }
    expect(text).not.toMatch(/<script>|\son\w+=|style=/);
  });
});

describe("too many requests", () => {
  test("are answered 429 with the seconds to wait, at whichever gateway they arrive", async () => {
    const env = { RATE_LIMIT_PER_SECOND: "1", RATE_LIMIT_BURST: "10" };
    const gateways = await Promise.all([startForTest(env), startForTest(env)]);
    const caller = bearer(await fetchTestToken({ sub: `user_${crypto.randomUUID()}`, scope: "orders:read" }));
    const answers = [];
    const startMs = performance.now();
    for (let turn = 0; turn < 30; turn += 1) {
      const base = urlOf(gateways[turn % 2] as RunningService);
      answers.push(await get(`/v1/orders/${orderId}`, caller, base));
    }
    const refilled = Math.ceil((performance.now() - startMs) / 1_000);
    await Promise.all(gateways.map((one) => one.stop()));

    const admitted = answers.filter(({ status }) => status === 503).length;
    expect(admitted).toBeGreaterThanOrEqual(10);
    expect(admitted).toBeLessThanOrEqual(10 + refilled);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(30 - admitted);
    for (const { headers, problem } of refused) {
      expect(headers.get("retry-after")).toBe("1");
      expect(headers.get("ratelimit-remaining")).toBe("0");
      expect(problem).toMatchObject({ reason: "RATE_LIMITED", title: "Too Many Requests" });
    }
  });
});

describe("too many requests under other guises", () => {
  // Row 75 of the hostile inputs: whoever is counted stays who it is.
  test("are answered 429 all the same", async () => {
    const limits = { RATE_LIMIT_PER_SECOND: "1", RATE_LIMIT_BURST: "1" };
    // By the caller's own limit, not by that of the address, which all of them share.
    const unlimited = { RATE_LIMIT_ADDRESS_PER_SECOND: "10000", RATE_LIMIT_ADDRESS_BURST: "10000" };
    await using own = disposable(await startForTest({ ...limits, ...unlimited }));
    const ask = async (caller: Headers, target = `/v1/orders/${orderId}`) =>
      (await get(target, Object.fromEntries(caller), urlOf(own.service))).status;
    await eventually(async () => {
      const guises = await guisesOf(`user_${crypto.randomUUID()}`);
      const startedMs = performance.now();
      expect(await ask(guises[0]?.[0] as Headers)).toBe(503);
      const answers = await Promise.all(guises.map((guise) => ask(...guise)));
      // Later there is another permit, and this has shown nothing.
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      expect(answers).toEqual(guises.map(() => 429));
    });
  });
});

/** How one person could try to look like others: the first is how it usually asks. */
async function guisesOf(sub: string): Promise<(readonly [Headers, string?])[]> {
  const [token, other] = await Promise.all(
    ["orders:read", "orders:read catalog:write"].map((scope) => fetchTestToken({ sub, scope })),
  );
  const as = (more: Readonly<Record<string, string>> = {}) =>
    new Headers({ authorization: `Bearer ${token}`, ...more });
  const query = `connect=v1&encoding=json&message=${encodeURIComponent(JSON.stringify({ orderId }))}`;
  return [
    [as()],
    [new Headers({ authorization: `bEaReR ${token}` })],
    [new Headers({ authorization: `Bearer ${other}` })],
    [as({ "x-forwarded-for": "198.51.100.7", "x-real-ip": "198.51.100.7", forwarded: "for=198.51.100.7" })],
    [as({ "user-agent": "another", "x-correlation-id": "another", "idempotency-key": "another" })],
    [as(), `/v1/orders/${orderId}?read_mask=status`],
    [as(), "/v1/orders"],
    [as(), `/souk.orders.v1.OrdersService/GetOrder?${query}`],
  ];
}

describe("too many requests for what is not there, or for documents", () => {
  test("are answered 429 like any others from their address, in each protocol", async () => {
    const limits = { RATE_LIMIT_ADDRESS_PER_SECOND: "1", RATE_LIMIT_ADDRESS_BURST: "1" };
    await using own = disposable(await startForTest({ ...limits, TRUSTED_PROXIES: "127.0.0.0/8" }));
    const paths = [
      ["/no/such/route", 404],
      ["/openapi.json", 200],
      ["/souk.inventory.v1.InventoryService/ReserveStock?connect=v1", 404],
    ] as const;
    for (const [at, [path, status]] of paths.entries()) {
      const from = { "x-forwarded-for": `198.51.100.${at + 10}` };
      const ask = () => get(path, from, urlOf(own.service));
      expect((await ask()).status).toBe(status);
      const refused = await eventually(async () => {
        const answer = await ask();
        expect(answer.status).toBe(429);
        return answer;
      });
      expect(refused.problem).toMatchObject({ reason: "RATE_LIMITED" });
      expect(refused.headers.get("retry-after")).toBe("1");
    }
    const grpc = createClient(InventoryService, {
      url: urlOf(own.service),
      token: () => Promise.resolve(token),
    });
    const asking = () => grpc.reserveStock({ orderId }, { idempotencyKey: "1" });
    await eventually(() => expect(asking()).rejects.toMatchObject({ code: 8 }));
    grpc.close();
  });
});

describe("metrics", () => {
  test("count requests by route and status, never by path", async () => {
    await using own = disposable(await startForTest());
    const base = urlOf(own.service);
    await get(`/v1/orders/${orderId}`, {}, base);
    await get("/v1/orders/order_01jd7f3v8qe9wv0c1a2d3f4g5j", {}, base);
    await get("/v1/products", {}, base);
    await get("/no/such/route", {}, base);
    const body = JSON.stringify({ orderId });
    const headers = { "content-type": "application/json" };
    await fetch(`${base}/souk.orders.v1.OrdersService/GetOrder`, { method: "POST", headers, body });
    const lines = await metricsOf(own.service);
    const counted = lines.filter((line) => line.startsWith("http_server_requests_total{")).sort();
    expect(counted).toEqual([
      'http_server_requests_total{route="GET /v1/orders/{order_id}",status="401"} 2',
      'http_server_requests_total{route="GET /v1/products",status="503"} 1',
      'http_server_requests_total{route="OrdersService/GetOrder",status="401"} 1',
      'http_server_requests_total{route="none",status="404"} 1',
    ]);
    expect(lines).toContain('http_server_duration_seconds_count{route="GET /v1/orders/{order_id}"} 2');
  });
});

const disposable = (service: RunningService) => ({ service, [Symbol.asyncDispose]: () => service.stop() });

describe("the gateway", () => {
  test("is ready without its backends, and not reachable once stopped", async () => {
    const own = await startForTest();
    const ready = `http://127.0.0.1:${own.metricsPort}/health/ready`;
    expect((await fetch(ready)).status).toBe(200);
    await Promise.all([own.stop(), own.stop()]);
    await expect(fetch(ready)).rejects.toThrow();
    await expect(fetch(`${urlOf(own)}/v1/products`)).rejects.toThrow();
  });

  test("does not start without knowing its backends, and names what is missing", async () => {
    const starting = startForTest({ ORDERS_URL: "", RATE_LIMIT_BURST: "0" });
    await expect(starting).rejects.toMatchObject({
      problems: ["ORDERS_URL is not set", expect.stringContaining("RATE_LIMIT_BURST")],
    });
  });
});
