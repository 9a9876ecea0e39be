import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { KubernetesObject } from "../canary/objects.ts";
import { meshRoute } from "../canary/route.ts";
import { diagnose } from "./doctor.ts";
import type { Surroundings } from "./parties.ts";

// The shop's own manifests: what the doctor says of them is what a cluster does with them.
const deploy = join(import.meta.dirname, "..");
const objects = [
  "base/services/*/{deployment,service}.yaml",
  "components/mesh-sidecar/{deny-all,peer-authentication}.yaml",
  "components/mesh-sidecar/policies/*.yaml",
  "components/network-policies/*.yaml",
  "components/canary/services.yaml",
]
  .flatMap((pattern) => globSync(pattern, { cwd: deploy }).sort())
  .flatMap((path) =>
    parseAllDocuments(readFileSync(join(deploy, path), "utf8")).map((one) => one.toJS() as KubernetesObject),
  )
  .filter((object) => object?.kind !== undefined && object.kind !== "Component");

const shop = (
  more: readonly KubernetesObject[] = [],
  without: (object: KubernetesObject) => boolean = () => false,
): Surroundings => ({
  namespace: "souk",
  namespaceLabels: { "istio-injection": "enabled" },
  objects: [...objects.filter((object) => !without(object)), ...more],
});
const ask = (caller: string, callee: string, path?: string, surroundings = shop()) =>
  diagnose(surroundings, { caller, callee, path });
const reserve = "/souk.inventory.v1.InventoryService/ReserveStock";
const adjust = "/souk.inventory.v1.InventoryService/AdjustStock";

describe("the way from orders to inventory", () => {
  test("is open, under mutual TLS, for what orders declares, and says for what", () => {
    const { verdict, refusedBy, mtls, rulings, warnings, destinations, port, protocol } = ask(
      "orders",
      "inventory",
    );
    expect({ verdict, refusedBy, mtls, warnings, port, protocol }).toEqual({
      verdict: "allowed",
      refusedBy: "",
      mtls: "STRICT",
      warnings: [],
      port: 50_051,
      protocol: "grpc",
    });
    expect(rulings.map(({ by, allows }) => [by, allows])).toEqual([
      ["sidecar", true],
      ["network", true],
      ["network", true],
      ["mtls", true],
      ["authorization", true],
    ]);
    expect(rulings.at(-1)?.says).toContain(reserve);
    expect(destinations).toEqual([{ when: "always", service: "inventory", percent: 100, rule: "inventory" }]);
  });

  test("is closed for a method that orders does not declare", () => {
    expect(ask("orders", "inventory", reserve).verdict).toBe("allowed");
    expect(ask("orders", "inventory", adjust)).toMatchObject({
      verdict: "refused",
      refusedBy:
        "authorization: none of AuthorizationPolicy deny-all, AuthorizationPolicy inventory allows it",
    });
    expect(ask("gateway", "inventory", adjust).verdict).toBe("allowed");
  });

  test("shows weights and header of a canary's route, with the rule of each track", () => {
    const route = meshRoute({
      service: "inventory",
      namespace: "souk",
      port: 50_051,
      protocol: "grpc",
      weight: 25,
      run: "ci",
    });
    const found = ask("orders", "inventory", reserve, shop([route]));
    expect(found.route).toBe("GRPCRoute inventory");
    expect(found.destinations).toEqual([
      { when: "x-souk-track: canary", service: "inventory-canary", percent: 100, rule: "inventory-canary" },
      { when: "always", service: "inventory-stable", percent: 75, rule: "inventory-stable" },
      { when: "always", service: "inventory-canary", percent: 25, rule: "inventory-canary" },
    ]);
  });
});

describe("a call that nobody declared", () => {
  test.each([
    ["catalog", "orders"],
    ["shipping", "payments"],
    ["inventory", "catalog"],
  ])(
    "from %s to %s is refused, first by what its sidecar sees, and by network and mesh as well",
    (caller, callee) => {
      const { verdict, refusedBy, rulings } = ask(caller, callee);
      expect([verdict, refusedBy.split(":")[0]]).toEqual(["refused", "sidecar"]);
      expect(rulings.filter(({ allows }) => !allows).map(({ by }) => by)).toEqual([
        "sidecar",
        "network",
        "network",
        "authorization",
      ]);
    },
  );

  test("is still refused by mesh or network where the other is away", () => {
    const unseen = ({ kind }: KubernetesObject) => kind === "Sidecar";
    const noNetwork = shop([], (object) => unseen(object) || object.kind === "NetworkPolicy");
    expect(ask("catalog", "orders", undefined, noNetwork).refusedBy).toMatch(/^authorization/);
    const noMesh = shop([], (object) => unseen(object) || object.kind === "AuthorizationPolicy");
    expect(ask("catalog", "orders", undefined, noMesh).refusedBy).toMatch(/^network: out of the caller/);
  });
});

describe("a caller without a sidecar", () => {
  const bare = { ...shop(), namespaceLabels: {} };
  const meshed = (name: string): Surroundings => ({
    ...bare,
    objects: bare.objects.map((object) =>
      object.kind === "Deployment" && object.metadata.name === name
        ? {
            ...object,
            spec: {
              ...object.spec,
              template: {
                ...object.spec.template,
                metadata: {
                  labels: { ...object.spec.template.metadata.labels, "sidecar.istio.io/inject": "true" },
                },
              },
            },
          }
        : object,
    ),
  });

  test("is refused by strict TLS, and follows no route", () => {
    const route = meshRoute({
      service: "inventory",
      namespace: "souk",
      port: 50_051,
      protocol: "grpc",
      weight: 25,
      run: "ci",
    });
    const surroundings = meshed("inventory");
    const found = ask("orders", "inventory", undefined, {
      ...surroundings,
      objects: [...surroundings.objects, route],
    });
    expect(found.refusedBy).toMatch(
      /^mtls: STRICT \(PeerAuthentication default\); the caller has no sidecar/,
    );
    expect(found.warnings).toEqual(["the caller has no sidecar: it follows no route, and no weight"]);
  });

  test("is nobody to a policy by principals where TLS is not strict", () => {
    const surroundings = meshed("inventory");
    const permissive = {
      ...surroundings,
      objects: surroundings.objects.filter(({ kind }) => kind !== "PeerAuthentication"),
    };
    expect(ask("orders", "inventory", undefined, permissive)).toMatchObject({
      mtls: "PERMISSIVE",
      refusedBy: expect.stringMatching(/^authorization/),
    });
  });
});

test("a DENY wins over an ALLOW", () => {
  const deny: KubernetesObject = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "freeze" },
    spec: { action: "DENY", rules: [{ to: [{ operation: { paths: ["/souk.inventory.v1.*"] } }] }] },
  };
  expect(ask("orders", "inventory", reserve, shop([deny])).refusedBy).toBe(
    "authorization: AuthorizationPolicy freeze denies it",
  );
});

test("who or what is not there is named", () => {
  expect(() => ask("carts", "inventory")).toThrow("there is no workload carts; there are catalog, ");
  expect(() => ask("orders", "carts")).toThrow("there is no Service carts");
});

test("a VirtualService for the same host is a warning", () => {
  const virtual: KubernetesObject = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "old" },
    spec: { hosts: ["inventory"] },
  };
  expect(ask("orders", "inventory", reserve, shop([virtual])).warnings).toEqual([
    "VirtualService old is for the same host: which of both counts is not defined",
  ]);
});
