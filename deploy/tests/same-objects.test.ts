import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answers, parse, type Rendered, render, renderer, runTool } from "./render.ts";

// tilt up, skaffold run and kubectl apply -k bring up the same shop. Each tool is asked what it would apply, without a cluster.
const has = (tool: string) => renderer !== undefined && answers(tool, ["version"]);
const [hasTilt, hasSkaffold] = [has("tilt"), has("skaffold")];
const lacking = [!renderer && "kustomize or kubectl", !hasTilt && "tilt", !hasSkaffold && "skaffold"].filter(
  Boolean,
);
if (lacking.length > 0)
  console.warn(
    `skipped: ${lacking.join(", ")} not on the path, so what Tilt and Skaffold render was not compared`,
  );

// Each is asked several times, which takes it seconds, and more on a busy machine.
const PATIENCE_MS = 120_000;

let home: string;
let expected: Map<string, unknown>;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "souk-home-"));
  writeFileSync(join(home, "kubeconfig"), JSON.stringify(KUBECONFIG));
  mkdirSync(join(home, ".skaffold"));
  writeFileSync(join(home, ".skaffold/config"), JSON.stringify({ global: { "collect-metrics": false } }));
  if (renderer) expected = byName(await render("deploy/overlays/local"));
});
afterAll(() => rmSync(home, { recursive: true }));

// Nobody answers there: a Tiltfile is read for the context it allows, and no cluster is needed for that.
const NAME = "kind-souk";
const KUBECONFIG = {
  apiVersion: "v1",
  kind: "Config",
  "current-context": NAME,
  clusters: [{ name: NAME, cluster: { server: "https://127.0.0.1:1" } }],
  users: [{ name: NAME, user: {} }],
  contexts: [{ name: NAME, context: { cluster: NAME, user: NAME } }],
};

/** Away from the caller's own settings, clusters and caches. */
const ask = (tool: string, ...args: string[]) =>
  runTool(tool, args, { HOME: home, KUBECONFIG: join(home, "kubeconfig"), DO_NOT_TRACK: "1" });

const nameOf = ({ apiVersion, kind, metadata }: Rendered) =>
  `${apiVersion} ${kind} ${metadata.namespace ?? ""}/${metadata.name}`;

/** Objects by name, as Kubernetes understands them; fails where one is there twice. */
function byName(objects: readonly Rendered[]): Map<string, unknown> {
  const found = new Map(objects.map((object) => [nameOf(object), meant(object)]));
  expect(found.size).toBe(objects.length);
  return found;
}

/** An object without what says nothing: programs that read manifests into Kubernetes' own types write these lines or leave them out. */
function meant(object: Rendered): unknown {
  const { kind, data, spec } = object;
  const text = JSON.stringify(spec, (_, value) =>
    Array.isArray(value) && value.length === 0 ? undefined : value,
  );
  const own = spec === undefined ? undefined : JSON.parse(text);
  if (kind === "StatefulSet" && Object.keys(own.updateStrategy ?? {}).length === 0) delete own.updateStrategy;
  const isBare = kind === "Namespace" && Object.keys(own ?? {}).length === 0;
  return { ...object, spec: isBare ? undefined : own, data: kind === "Secret" ? decoded(data) : data };
}

const decoded = (data: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );

interface TiltfileResult {
  readonly Error: unknown;
  readonly Manifests: readonly {
    readonly Name: string;
    readonly ResourceDependencies: readonly string[] | null;
    readonly DeployTarget: { readonly yaml?: string } | null;
  }[];
  readonly EnabledManifests: readonly string[];
}

const tiltfile = async (...wanted: string[]) =>
  JSON.parse(await ask("tilt", "alpha", "tiltfile-result", "--", ...wanted)) as TiltfileResult;

describe.skipIf(!hasTilt)("Tilt", { timeout: PATIENCE_MS }, () => {
  test("applies the objects of the overlay local, and no other", async () => {
    const { Error: fault, Manifests } = await tiltfile();
    expect(fault).toBeNull();
    const objects = Manifests.flatMap(({ DeployTarget }) => parse(DeployTarget?.yaml ?? ""));
    expect(byName(objects)).toEqual(expected);
  });

  test("brings up a service with what it needs, and nothing else, where one is asked for", async () => {
    const { EnabledManifests } = await tiltfile("payments");
    expect([...EnabledManifests].sort()).toEqual([
      "card-processor",
      "issuer",
      "nats",
      "payments",
      "payments-migrate",
      "postgres",
      "preflight",
      "redis",
      "streams",
      "uncategorized",
    ]);
    const { EnabledManifests: all } = await tiltfile("orders");
    expect(all).toEqual(
      expect.arrayContaining(["orders", "catalog", "inventory", "payments", "shipping", "carrier"]),
    );
    expect(all).not.toContain("gateway");
  });

  test("says which services there are, where one is asked for that is none", async () => {
    const answer = await ask("tilt", "alpha", "tiltfile-result", "--", "carts").catch(
      (error: Error & { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    expect(answer).toContain("There is no carts.");
  });

  test("ends with the smoke test, which waits for all the rest; no resource waits for one that does not exist", async () => {
    const { Manifests } = await tiltfile();
    const needs = new Map(
      Manifests.map(({ Name, ResourceDependencies }) => [Name, ResourceDependencies ?? []]),
    );
    const unknown = [...needs.values()].flat().filter((name) => !needs.has(name));
    expect(unknown).toEqual([]);
    const before = (name: string): string[] => [name, ...(needs.get(name) ?? []).flatMap(before)];
    const passing = ["generate", "debug", "canary-keeper", "uncategorized"];
    expect([...new Set(before("smoke"))].sort()).toEqual(
      [...needs.keys()].filter((name) => !passing.includes(name)).sort(),
    );
  });
});

describe.skipIf(!hasSkaffold)("Skaffold", { timeout: PATIENCE_MS }, () => {
  async function skaffold(...args: string[]): Promise<Rendered[]> {
    // Its standard output has remarks in it.
    const file = join(home, "rendered.yaml");
    const plain = ["--offline", "--digest-source=none", "--update-check=false", `--output=${file}`];
    await ask("skaffold", "render", ...plain, ...args);
    return parse(readFileSync(file, "utf8"));
  }

  test.each([
    ["without a profile", [], "local"],
    ["with the profile ci", ["--profile=ci"], "ci"],
    ["with the profile staging", ["--profile=staging"], "staging"],
  ] as const)("applies %s the objects of an overlay, and no other", async (_, args, overlay) => {
    expect(byName(await skaffold(...args))).toEqual(byName(await render(`deploy/overlays/${overlay}`)));
  });
});
