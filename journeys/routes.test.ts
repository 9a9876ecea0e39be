import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogger, createMetrics } from "#kit/telemetry/telemetry.ts";
import { readConfig } from "../services/gateway/config.ts";
import { createGatewayEdge } from "../services/gateway/gateway.ts";
import { createRateLimit } from "../services/gateway/rate-limit.ts";
import { urlOf } from "../tools/start/processes.ts";
import type { RouteCase, Scene } from "./route-case.ts";
import { faultsOf, routeCases, setScene } from "./routes.ts";
import { buy, openShop } from "./shop.ts";

const shop = openShop();
let scene: Scene;

beforeAll(async () => {
  scene = await setScene(shop());
});

/** The routes as the gateway compiles them from the contracts. */
async function compileRoutes() {
  const { stores, ports } = shop().processes;
  const names = ["catalog", "inventory", "orders", "payments", "shipping"] as const;
  const config = readConfig({
    ...Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_URL`, urlOf(ports[name])])),
    TOKEN_ISSUER: shop().issuerUrl,
    REDIS_URL: stores.redis.url,
    PORT: "0",
    METRICS_PORT: "0",
  });
  const log = createLogger({ service: "gateway", level: "error" });
  const rateLimit = createRateLimit({ redisUrl: stores.redis.url, rates: config.rates, log });
  const edge = createGatewayEdge(config, { log, metrics: createMetrics(), rateLimit });
  await edge.close();
  rateLimit.close();
  return edge.routes;
}

test("each route of the contracts has a success and a refusal here", async () => {
  const routes = await compileRoutes();
  expect(routes.length).toBeGreaterThan(20);
  expect(faultsOf(routes, routeCases)).toEqual([]);
});

test("a route that was added without its cases is noticed, and so is a case of a route that is gone", () => {
  const routes = [
    { httpMethod: "GET", template: "/v1/rugs" },
    { httpMethod: "POST", template: "/v1/rugs" },
    { httpMethod: "DELETE", template: "/v1/rugs" },
  ];
  const some: RouteCase = { ask: () => ({ path: "/v1/rugs" }), status: 200 };
  const cases = {
    "GET /v1/rugs": { success: some, refusal: some },
    "POST /v1/rugs": { success: some },
    "GET /v1/lamps": { success: some, refusal: some },
  };
  expect(faultsOf(routes, cases)).toEqual([
    "POST /v1/rugs has no refusal case",
    "DELETE /v1/rugs has no success case",
    "DELETE /v1/rugs has no refusal case",
    "there is no route GET /v1/lamps",
  ]);
});

const listed = Object.entries(routeCases).flatMap(([route, { success, refusal }]) => [
  ...(success ? [[route, success.status, success] as const] : []),
  ...(refusal ? [[route, refusal.status, refusal] as const] : []),
]);

async function check(route: string, { ask, status, reason }: RouteCase) {
  const { path, ...request } = await ask(scene);
  const answer = await shop().rest(route.split(" ", 1)[0] ?? "", path, request);
  const problem = answer.body as { reason?: string; status?: number } | undefined;
  expect([answer.status, answer.text]).toEqual([status, expect.anything()]);
  if (reason === undefined) return;
  expect(problem).toMatchObject({ reason, status });
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
}

test.each(listed)("%s answers %i", async (route, _, one) => {
  await check(route, one);
});

describe("while Redis is down", () => {
  beforeAll(async () => {
    await shop().processes.stores.redis.kill("SIGKILL");
  });
  afterAll(() => shop().processes.stores.redis.start());

  test.each(listed)("%s still answers %i", async (route, _, one) => {
    await check(route, one);
  });

  test("an order is still confirmed", async () => {
    const end = await buy(shop(), scene.buyer, { goods: scene.goods });
    expect(end.status).toBe("CONFIRMED");
  });
});
