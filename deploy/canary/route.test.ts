import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { trackHeader } from "#kit/rpc/call.ts";
import { CANARY_LABEL, type KubernetesObject, RUN_ANNOTATION } from "./objects.ts";
import { edgeRoute, isAccepted, leadsIn, meshRoute, weightOf, withoutCalls } from "./route.ts";

const edgeFile = join(import.meta.dirname, "../components/edge/routes.yaml");
const edgeRoutes = parseAllDocuments(readFileSync(edgeFile, "utf8")).map(
  (one) => one.toJS() as KubernetesObject,
);
const [toHttps, wayIn] = edgeRoutes as [KubernetesObject, KubernetesObject];
const orders = {
  service: "orders",
  namespace: "souk",
  port: 50_051,
  protocol: "grpc",
  weight: 5,
  run: "ci/1",
} as const;
const gateway = {
  service: "gateway",
  namespace: "souk",
  port: 8_080,
  protocol: "http",
  weight: 5,
  run: "ci/1",
} as const;

describe("the route of a service", () => {
  test("is a GRPCRoute of its Service: by header to the canary, else by weight", () => {
    const { kind, metadata, spec } = meshRoute(orders);
    expect([kind, metadata.name, metadata.labels, metadata.annotations]).toEqual([
      "GRPCRoute",
      "orders",
      { [CANARY_LABEL]: "orders" },
      { [RUN_ANNOTATION]: "ci/1" },
    ]);
    expect(spec.parentRefs).toMatchObject([{ kind: "Service", name: "orders", port: 50_051 }]);
    expect(spec.rules).toMatchObject([
      {
        matches: [{ headers: [{ name: trackHeader, value: "canary" }] }],
        backendRefs: [{ name: "orders-canary", weight: 1 }],
      },
      {
        backendRefs: [
          { name: "orders-stable", weight: 95 },
          { name: "orders-canary", weight: 5 },
        ],
      },
    ]);
  });

  test("is an HTTPRoute for the gateway", () => {
    expect(meshRoute(gateway)).toMatchObject({
      kind: "HTTPRoute",
      spec: { parentRefs: [{ name: "gateway", port: 8_080 }] },
    });
  });

  test("says its weight, and loses nothing else when the calls are taken away", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), fc.constantFrom(orders, gateway), (weight, options) => {
        const route = meshRoute({ ...options, weight });
        expect(weightOf(route)).toBe(weight);
        expect(withoutCalls(route)).toEqual(meshRoute({ ...options, weight: 0 }));
      }),
    );
    expect(
      weightOf({ ...meshRoute(orders), spec: { rules: [{ backendRefs: [{ name: "orders" }] }] } }),
    ).toBeUndefined();
  });
});

describe("the way in", () => {
  test("is the route that leads from the Gateway to the gateway, not the one that leads to TLS, nor one of this tool", () => {
    expect([leadsIn(toHttps, "gateway"), leadsIn(wayIn, "gateway"), leadsIn(wayIn, "orders")]).toEqual([
      false,
      true,
      false,
    ]);
    expect(leadsIn(edgeRoute(wayIn, gateway), "gateway")).toBe(false);
    expect(leadsIn(meshRoute(gateway), "gateway")).toBe(false);
  });

  test("keeps its hosts, its listener and its filter: an outsider's header never chooses the canary", () => {
    const { metadata, spec } = edgeRoute(wayIn, gateway);
    expect(metadata.name).toBe("souk-edge-gateway-tracks");
    expect([spec.hostnames, spec.parentRefs]).toEqual([wayIn.spec.hostnames, wayIn.spec.parentRefs]);
    expect(spec.rules).toHaveLength(1);
    const [{ filters, matches, backendRefs }] = spec.rules;
    expect(filters[0].requestHeaderModifier.remove).toContain(trackHeader);
    expect(JSON.stringify(matches)).not.toContain("headers");
    expect(backendRefs).toMatchObject([
      { name: "gateway-stable", weight: 95 },
      { name: "gateway-canary", weight: 5 },
    ]);
  });

  test("goes before the route it stands for, since it names each method beside the path", () => {
    const [{ matches }] = edgeRoute(wayIn, gateway).spec.rules;
    expect(matches.map(({ method }: { method: string }) => method).sort()).toEqual([
      "CONNECT",
      "DELETE",
      "GET",
      "HEAD",
      "OPTIONS",
      "PATCH",
      "POST",
      "PUT",
      "TRACE",
    ]);
    expect(wayIn.spec.rules[0].matches).toBeUndefined();
  });
});

test("a route counts once the mesh has taken what it says now", () => {
  const said = (status: string, observedGeneration: number) => ({
    ...meshRoute(orders),
    metadata: { name: "orders", generation: 2 },
    status: { parents: [{ conditions: [{ type: "Accepted", status, observedGeneration }] }] },
  });
  expect([said("True", 2), said("True", 1), said("False", 2), meshRoute(orders)].map(isAccepted)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
