import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createMetrics } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { type ApiServer, connectAsPerson } from "../api-server.ts";
import {
  DEPLOYMENTS,
  EVENTS,
  find,
  GRPC_ROUTES,
  HTTP_ROUTES,
  list,
  podsOf,
  type Resource,
} from "../cluster.ts";
import { keep } from "../keeper.ts";
import type { KubernetesObject } from "../objects.ts";
import { parsePolicy } from "../policy-file.ts";
import { findHolder, findRollout, type Holder, isSilent, LEASE_S } from "../record.ts";
import { weightOf } from "../route.ts";
import { abortByHand, type Place, promoteNow, start } from "../runs.ts";
import { imageOf, isRolled } from "../workload.ts";
import { type Hands, startHands } from "./hands.ts";
import { connectAsKeeper } from "./keeper-account.ts";

// Needs an API server with the Gateway API's definitions, and nothing else of a cluster: pods that are never run, routes that nobody follows.
const chosen = process.env.SOUK_API_SERVER;
const against = describe.skipIf(chosen === undefined);
if (!chosen)
  console.warn(
    "skipped: SOUK_API_SERVER names no kubeconfig, so the canary tool was not tried on an API server",
  );

const policy = parsePolicy(`
steps: [{ weight: 5, forS: 2 }, { weight: 50, forS: 2 }, { weight: 100, forS: 1 }]
warmupS: 0
windowS: 1
minCalls: 20
settleS: 1
readyS: 20`);
const CALLS_PER_LOOK = 500;

let api: ApiServer;
let namespace: string;
let hands: Hands;
let said: string[];
let canaryFails: boolean;

beforeAll(async () => {
  if (!chosen) return;
  process.env.KUBECONFIG = chosen;
  api = await connectAsPerson();
});
beforeEach(async () => {
  namespace = `canary-${randomUUID().slice(0, 8)}`;
  [said, canaryFails] = [[], false];
  await api.ask({
    verb: "POST",
    path: "/api/v1/namespaces",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  });
  await lay("orders", 4);
  hands = startHands(api, namespace);
  await eventually(async () => expect(isRolled(await get(DEPLOYMENTS, "orders"))).toBe(true), 20_000);
});
afterEach(async () => {
  await hands.stop();
  await api.ask({ verb: "DELETE", path: `/api/v1/namespaces/${namespace}` });
});
afterAll(() => api?.close());

/** A stable Deployment and its three Services. */
async function lay(service: string, replicas: number, image = "souk/orders:1") {
  const labels = { "app.kubernetes.io/name": service };
  const put = (path: string, body: object) =>
    api.ask({ verb: "POST", path: `${path.replace("NS", namespace)}`, body });
  const pods = { ...labels, track: "stable" };
  await put("/apis/apps/v1/namespaces/NS/deployments", {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: service, labels },
    spec: {
      replicas,
      selector: { matchLabels: pods },
      template: { metadata: { labels: pods }, spec: { containers: [{ name: "app", image }] } },
    },
  });
  for (const name of [service, `${service}-stable`, `${service}-canary`])
    await put("/api/v1/namespaces/NS/services", {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: {
        selector: labels,
        ports: [{ name: "grpc", port: 50_051, appProtocol: service === "gateway" ? "http" : "grpc" }],
      },
    });
}

/** Pods that answer, as their own metrics tell; a canary may fail every fifth call. */
function createPods() {
  const pods = new Map<string, ReturnType<typeof createMetrics>>();
  return async (_namespace: string, pod: string) => {
    const metrics = pods.get(pod) ?? createMetrics();
    pods.set(pod, metrics);
    for (let call = 0; call < CALLS_PER_LOOK; call += 1) {
      const fails = canaryFails && pod.includes("canary") && call % 5 === 0;
      metrics.rpcServerCalls("souk.orders.v1.OrdersService/PlaceOrder", fails ? "INTERNAL" : "OK").inc();
      metrics
        .rpcServerDuration("souk.orders.v1.OrdersService/PlaceOrder")
        .observe(0.004 + (call % 10) / 1_000);
    }
    return await metrics.registry.metrics();
  };
}

const place = (signal: AbortSignal = new AbortController().signal): Place => ({
  api,
  namespace,
  say: (text) => void said.push(text),
  signal,
  scrape: createPods(),
});
const asked = { service: "orders", image: "souk/orders:2", policyName: "test", policy };
const get = async (resource: Resource, name: string): Promise<KubernetesObject> => {
  const found = await find(place(), resource, name);
  if (!found) throw new Error(`there is no ${resource.plural} ${name}`);
  return found;
};
const weight = async () => weightOf(await get(GRPC_ROUTES, "orders"));
const image = async () => imageOf(await get(DEPLOYMENTS, "orders"));
const atWeight = (wanted: number) => eventually(async () => expect(await weight()).toBe(wanted), 30_000);
const events = async () =>
  (await list(place(), EVENTS)).map((event) => (event as { reason?: string }).reason);

against("on an API server", { timeout: 120_000 }, () => {
  test("a good canary is promoted: weights rise, the stable pods get its image, no pod and no call of it is left", async () => {
    const ended = await start(place(), asked);
    expect(ended).toMatchObject({ phase: "promoted", goodWindows: expect.any(Number) });
    expect(said.filter((line) => line.endsWith("% of the calls"))).toEqual(
      [5, 50, 100, 0].map((share) => `${share} % of the calls`),
    );
    expect([await image(), await weight()]).toEqual(["souk/orders:2", 0]);
    expect(await find(place(), DEPLOYMENTS, "orders-canary")).toBeUndefined();
    expect(await findRollout(place(), "orders")).toMatchObject({ phase: "promoted", closed: true });
    expect(await findHolder(place(), "orders")).toBeUndefined();
    expect(await events()).toEqual(expect.arrayContaining(["CanaryShifting", "CanaryPromoted"]));
  });

  test("the route is there before any pod of the canary, and applying the manifests again does not move it", async () => {
    const stopping = new AbortController();
    const running = start(place(stopping.signal), asked);
    await eventually(async () => expect(await weight()).toBe(0), 20_000);
    const tracks = (await podsOf(place(), "orders")).map(({ metadata }) => metadata.labels?.track);
    const route = await get(GRPC_ROUTES, "orders");
    const oldest = (await podsOf(place(), "orders")).filter(
      ({ metadata }) => metadata.labels?.track === "canary",
    );
    for (const { metadata } of oldest)
      expect(Date.parse(metadata.creationTimestamp ?? "")).toBeGreaterThanOrEqual(
        Date.parse(route.metadata.creationTimestamp ?? ""),
      );
    expect(tracks).toContain("stable");
    await atWeight(5);
    const { apiVersion, kind, spec } = await get(DEPLOYMENTS, "orders");
    const applied = { apiVersion, kind, metadata: { name: "orders", namespace }, spec };
    await api.ask({
      verb: "PATCH",
      path: `/apis/apps/v1/namespaces/${namespace}/deployments/orders?fieldManager=kubectl&force=true`,
      body: applied,
      contentType: "application/apply-patch+yaml",
    });
    expect(await weight()).toBeGreaterThanOrEqual(5);
    stopping.abort();
    await running;
  });

  test("a canary that fails every fifth call is aborted by its first window, and what was seen is kept", async () => {
    canaryFails = true;
    const ended = await start(place(), asked);
    expect(ended).toMatchObject({
      phase: "aborted",
      reason: expect.stringContaining("of the canary's calls failed"),
    });
    expect([await image(), await weight()]).toEqual(["souk/orders:1", 0]);
    const kept = await findRollout(place(), "orders");
    expect(kept?.windows).toMatchObject([{ verdict: "faulty", weight: 5 }]);
    expect(await events()).toContain("CanaryAborted");
    expect(await find(place(), DEPLOYMENTS, "orders-canary")).toBeDefined();
    canaryFails = false;
    expect(await start(place(), { ...asked, image: "souk/orders:3" })).toMatchObject({ phase: "promoted" });
    expect(await image()).toBe("souk/orders:3");
  });

  test("a canary that is not ready any more has no calls within 5 seconds, and gets them back", async () => {
    const stopping = new AbortController();
    const running = start(place(stopping.signal), {
      ...asked,
      policy: { ...policy, steps: [{ weight: 50, forS: 600 }] },
    });
    await atWeight(50);
    hands.unready.add("orders-canary");
    await eventually(async () => {
      const pods = (await podsOf(place(), "orders")).filter(
        ({ metadata }) => metadata.labels?.track === "canary",
      );
      expect(pods[0]?.status.conditions[0].status).toBe("False");
    });
    const since = Date.now();
    await atWeight(0);
    expect(Date.now() - since).toBeLessThan(5_000);
    hands.unready.delete("orders-canary");
    await atWeight(50);
    stopping.abort();
    await running;
    expect(await weight()).toBe(0);
  });

  test("a run that stands still is taken over by the next, which ends what it began; come back, it can change nothing any more", async () => {
    let isStill = false;
    const back = Promise.withResolvers<void>();
    const ask: ApiServer["ask"] = async (question) => {
      if (isStill) await back.promise;
      return await api.ask(question);
    };
    const slowly = { ...asked, policy: { ...policy, steps: [{ weight: 5, forS: 600 }] } };
    const first = start({ ...place(), api: { ...api, ask } }, slowly);
    const ended = expect(first).rejects.toThrow(/orders/);
    await atWeight(5);
    await expect(start(place(), slowly)).rejects.toThrow("drives the canary of orders");
    isStill = true;
    await eventually(
      async () => expect(isSilent((await findHolder(place(), "orders")) as Holder, Date.now())).toBe(true),
      (LEASE_S + 5) * 1_000,
    );
    const stopping = new AbortController();
    const second = start(place(stopping.signal), slowly);
    second.catch(() => {});
    await eventually(() => expect(said).toContain("taken over"), 30_000);
    await atWeight(5);
    back.resolve();
    await ended;
    await eventually(
      async () => expect((await findRollout(place(), "orders"))?.goodWindows).toBeGreaterThan(2),
      30_000,
    );
    stopping.abort();
    await second;
    expect(await promoteNow(place(), "orders")).toMatchObject({ phase: "promoted" });
    expect([await image(), await weight()]).toEqual(["souk/orders:2", 0]);
  });

  test("the keeper, with the rights of its own account, takes the calls from a canary whose run is dead, at once where no pod is ready, and ends a promotion", async () => {
    let isDead = false;
    const ask: ApiServer["ask"] = async (question) => {
      if (isDead) throw new Error("killed");
      return await api.ask(question);
    };
    const [killing, keeping] = [new AbortController(), new AbortController()];
    const slowly = { ...asked, policy: { ...policy, steps: [{ weight: 50, forS: 600 }] } };
    const killed = start({ ...place(killing.signal), api: { ...api, ask } }, slowly);
    killed.catch(() => {});
    await atWeight(50);
    const keeper = await connectAsKeeper(api, namespace, chosen ?? "");
    const kept = keep({ ...place(keeping.signal), api: keeper });
    [isDead] = [true];
    killing.abort();
    hands.unready.add("orders-canary");
    const since = Date.now();
    await atWeight(0);
    expect(Date.now() - since).toBeLessThan(6_000);
    expect(await findRollout(place(), "orders")).toMatchObject({ phase: "shifting" });
    hands.unready.delete("orders-canary");
    const again = new AbortController();
    const promoting = promoteNow(place(again.signal), "orders");
    promoting.catch(() => {});
    await eventually(
      async () => expect((await findRollout(place(), "orders"))?.phase).toBe("promoting"),
      20_000,
    );
    again.abort();
    await eventually(
      async () => expect((await findRollout(place(), "orders"))?.phase).toBe("promoted"),
      60_000,
    );
    expect([await image(), await weight()]).toEqual(["souk/orders:2", 0]);
    expect(await events()).toContain("CanaryCallsTaken");
    keeping.abort();
    await kept;
    keeper.close();
  });

  test("an operator's abort takes the calls away at once, while another run drives; that one ends, and says why", async () => {
    const running = start(place(), { ...asked, policy: { ...policy, steps: [{ weight: 50, forS: 600 }] } });
    const watched = expect(running).rejects.toThrow(/orders/);
    await atWeight(50);
    const ended = await abortByHand(place(), "orders", "looks odd");
    expect([ended.phase, await weight()]).toEqual(["aborted", 0]);
    await watched;
    expect(await findRollout(place(), "orders")).toMatchObject({
      phase: "aborted",
      reason: "looks odd",
      closed: true,
    });
    await expect(promoteNow(place(), "orders")).rejects.toThrow(
      "no canary of orders is under way; the last was aborted: looks odd",
    );
  });

  test("the stable pods' autoscaler may take no pods away meanwhile, and is what it was afterwards", async () => {
    const path = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
    const behavior = {
      scaleDown: {
        stabilizationWindowSeconds: 300,
        selectPolicy: "Min",
        policies: [{ type: "Pods", value: 1, periodSeconds: 60 }],
      },
    };
    const spec = {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "orders" },
      maxReplicas: 9,
      behavior,
    };
    await api.ask({
      verb: "POST",
      path,
      body: {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: { name: "orders" },
        spec,
      },
    });
    const scaleDown = async () =>
      (await api.ask<KubernetesObject>({ path: `${path}/orders` })).spec.behavior.scaleDown;
    const running = start(place(), asked);
    await atWeight(5);
    expect(await scaleDown()).toMatchObject({ selectPolicy: "Disabled", stabilizationWindowSeconds: 300 });
    await running;
    expect(await scaleDown()).toMatchObject({ selectPolicy: "Min", policies: behavior.scaleDown.policies });
  });

  test("blue-green gives all calls at once, after all pods are there", async () => {
    const blueGreen = parsePolicy(
      "steps: [{ weight: 100, forS: 1 }]\nwarmupS: 0\nwindowS: 1\nminCalls: 20\nsettleS: 1",
    );
    const running = start(place(), { ...asked, policy: blueGreen });
    await atWeight(100);
    const pods = (await podsOf(place(), "orders")).filter(
      ({ metadata }) => metadata.labels?.track === "canary",
    );
    expect(pods).toHaveLength(4);
    expect(await running).toMatchObject({ phase: "promoted" });
  });

  test("the gateway's weights stand on the way in too, with the filter that outsiders meet", async () => {
    await lay("gateway", 1, "souk/gateway:1");
    await eventually(async () => expect(isRolled(await get(DEPLOYMENTS, "gateway"))).toBe(true), 20_000);
    const filters = [{ type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["x-souk-track"] } }];
    const spec = {
      hostnames: ["shop.example.com"],
      parentRefs: [{ name: "souk-edge" }],
      rules: [{ filters, backendRefs: [{ name: "gateway", port: 50_051 }] }],
    };
    const body = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "souk-edge" },
      spec,
    };
    await api.ask({
      verb: "POST",
      path: `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/httproutes`,
      body,
    });
    const stopping = new AbortController();
    const running = start(place(stopping.signal), {
      ...asked,
      service: "gateway",
      image: "souk/gateway:2",
      policy: { ...policy, steps: [{ weight: 50, forS: 600 }] },
    });
    await eventually(async () => expect(weightOf(await get(HTTP_ROUTES, "gateway"))).toBe(50), 30_000);
    const twin = await get(HTTP_ROUTES, "souk-edge-gateway-tracks");
    expect([weightOf(twin), twin.spec.rules[0].filters, twin.spec.hostnames]).toEqual([
      50,
      filters,
      ["shop.example.com"],
    ]);
    stopping.abort();
    await running;
    expect(weightOf(await get(HTTP_ROUTES, "souk-edge-gateway-tracks"))).toBe(0);
  });

  test("where the ground is not laid, it says what is missing", async () => {
    await expect(start(place(), { ...asked, service: "carts" })).rejects.toThrow(
      "there is no Deployment carts",
    );
    await expect(start(place(), { ...asked, image: "souk/orders:1" })).rejects.toThrow(
      "run souk/orders:1 already",
    );
    await api.ask({ verb: "DELETE", path: `/api/v1/namespaces/${namespace}/services/orders-canary` });
    await expect(start(place(), asked)).rejects.toThrow("apply an overlay with components/canary");
  });
});
