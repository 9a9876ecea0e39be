import { globSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { COMBINATIONS } from "./combinations.ts";
import { REPOSITORY, type Rendered, render, renderCombination, renderer } from "./render.ts";

// Rendering needs kustomize or kubectl, which the shop itself does not: without either these tests say so and are skipped.
const rendering = describe.skipIf(renderer === undefined);
if (!renderer) console.warn("skipped: neither kustomize nor kubectl is on the path, so nothing was rendered");

const overlays = globSync("deploy/overlays/*/", { cwd: REPOSITORY })
  .map((path) => basename(path))
  .sort();
const services = globSync("services/*/", { cwd: REPOSITORY })
  .map((path) => basename(path))
  .sort();
// All at once, since each is a program of its own; a failure is the tests' that ask for it.
const rendered = new Map(overlays.map((name) => [name, renderer && render(`deploy/overlays/${name}`)]));
for (const objects of rendered.values()) objects?.catch(() => {});
const overlay = async (name: string) => (await rendered.get(name)) ?? [];

const ofKind = (objects: readonly Rendered[], ...kinds: string[]) =>
  objects.filter(({ kind }) => kinds.includes(kind));
const workloads = (objects: readonly Rendered[]) => ofKind(objects, "Deployment", "StatefulSet", "Job");
const nameOf = ({ kind, metadata }: Rendered) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
const covers = (labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>> = {}) =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);
const podsOf = (workload: Rendered) => workload.spec.template.metadata?.labels ?? {};

rendering.each(overlays)("the overlay %s", (name) => {
  test("has a Deployment, a Service, an account and, but on a laptop, a disruption budget for each service", async () => {
    const objects = await overlay(name);
    const names = (kind: string) => ofKind(objects, kind).map(({ metadata }) => metadata.name);
    for (const kind of ["Deployment", "Service", "ServiceAccount"])
      expect(names(kind), kind).toEqual(expect.arrayContaining(services));
    if (name !== "local") expect(names("PodDisruptionBudget")).toEqual(expect.arrayContaining(services));
  });

  test("names each object once, and every object has the namespace it needs", async () => {
    const objects = await overlay(name);
    const names = objects.map((object) => `${object.apiVersion.split("/")[0]} ${nameOf(object)}`);
    expect(names.filter((one, index) => names.indexOf(one) !== index)).toEqual([]);
    const homeless = objects.filter(
      ({ kind, metadata }) => metadata.namespace === undefined && !clusterWide.has(kind),
    );
    expect(homeless.map(nameOf)).toEqual([]);
  });

  test("runs nothing as root, nothing that may gain rights, and nothing without bounds", async () => {
    const faults = workloads(await overlay(name)).flatMap((workload) => podFaults(workload, name));
    expect(faults).toEqual([]);
  });

  test("finds for every Service pods with its ports, and for every pod its account, config and secrets", async () => {
    const objects = await overlay(name);
    expect(ofKind(objects, "Service").flatMap((service) => serviceFaults(service, objects))).toEqual([]);
    expect(workloads(objects).flatMap((workload) => referenceFaults(workload, objects))).toEqual([]);
  });

  test("declares what every port speaks", async () => {
    const ports = ofKind(await overlay(name), "Service").flatMap(({ spec }) => spec.ports);
    expect(ports.filter(({ appProtocol }) => appProtocol === undefined)).toEqual([]);
  });

  test("tells stable pods and canary's apart from the first day", async () => {
    const deployments = ofKind(await overlay(name), "Deployment").filter(({ metadata }) =>
      services.includes(metadata.name),
    );
    for (const { spec, metadata } of deployments)
      expect(spec.selector.matchLabels).toEqual({
        "app.kubernetes.io/name": metadata.name,
        track: "stable",
      });
  });

  test("lets no release wait for a Job that cannot be changed: what a Job does is in its name", async () => {
    const jobs = ofKind(await overlay(name), "Job").map(({ metadata }) => metadata.name);
    const preparing = jobs.filter((job) => job !== "seed");
    expect(preparing).toHaveLength(services.length);
    for (const job of preparing) expect(job).toMatch(/^([a-z]+-migrate|streams)-[0-9a-f]{10}$/);
  });
});

const meshed = overlays.filter((name) => name !== "none");

rendering.each(meshed)("in the mesh of %s", (name) => {
  test("mutual TLS is strict, all is denied, and every workload that is called says by whom", async () => {
    const objects = await overlay(name);
    expect(ofKind(objects, "PeerAuthentication").map(({ spec }) => spec)).toEqual([
      { mtls: { mode: "STRICT" } },
    ]);
    const policies = ofKind(objects, "AuthorizationPolicy");
    expect(policies.find(({ metadata }) => metadata.name === "deny-all")?.spec).toEqual({});
    for (const service of services) expect(policies.map(({ metadata }) => metadata.name)).toContain(service);
    const open = policies.filter(
      ({ spec }) => spec.rules?.some((rule: object) => Object.keys(rule).length === 0) ?? false,
    );
    expect(open.map(nameOf)).toEqual([]);
  });

  test("each Service that calls go to has a rule of its own, and so have its two tracks", async () => {
    const rules = ofKind(await overlay(name), "DestinationRule").map(({ spec }) => spec.host.split(".")[0]);
    const tracks = services.flatMap((service) => [service, `${service}-stable`, `${service}-canary`]);
    expect(rules).toEqual(expect.arrayContaining(tracks));
  });

  test("no route is in the overlay that a canary moves", async () => {
    const routes = ofKind(await overlay(name), "GRPCRoute", "HTTPRoute", "VirtualService");
    const parents = routes.flatMap(({ spec }) => spec.parentRefs ?? []);
    expect(parents.filter(({ kind }) => kind === "Service")).toEqual([]);
    expect(routes.filter(({ kind }) => kind === "VirtualService")).toEqual([]);
  });
});

rendering.each(["ci", "staging", "production"])("on the network of %s", (name) => {
  test("all is denied, and every pod has a policy that allows what it needs", async () => {
    const objects = await overlay(name);
    const policies = ofKind(objects, "NetworkPolicy");
    const denied = policies.filter(({ spec }) => Object.keys(spec.podSelector).length === 0);
    expect(denied.map(nameOf).sort()).toEqual([
      "NetworkPolicy souk-data/deny-all",
      "NetworkPolicy souk/deny-all",
    ]);
    const bare = workloads(objects).filter((workload) => !policies.some((policy) => isFor(policy, workload)));
    expect(bare.map(nameOf)).toEqual([]);
  });
});

rendering("production", () => {
  test("has no stand-in, no known password and no way round the digest", async () => {
    const objects = await overlay("production");
    const text = JSON.stringify(objects);
    expect(text).not.toMatch(/souk\/(issuer|card-processor|carrier|tools)"|throwaway/);
    expect(ofKind(objects, "Secret")).toEqual([]);
    expect(ofKind(objects, "ValidatingAdmissionPolicyBinding")).toHaveLength(6);
  });

  test("keeps streams on three servers and databases on three instances", async () => {
    const objects = await overlay("production");
    const streams = ofKind(objects, "Job").find(({ metadata }) => metadata.name.startsWith("streams-"));
    expect(streams?.spec.template.spec.containers[0].env).toContainEqual({
      name: "EVENT_STREAM_REPLICAS",
      value: "3",
    });
    const settings = ofKind(objects, "ConfigMap").find(({ metadata }) =>
      metadata.name.startsWith("souk-surroundings"),
    );
    expect(settings?.data).toMatchObject({ EVENT_STREAM_REPLICAS: "3", ENVIRONMENT: "production" });
    const clusters = ofKind(objects, "Cluster");
    expect(clusters).toHaveLength(services.length - 1);
    for (const { spec } of clusters)
      expect(spec).toMatchObject({ instances: 3, postgresql: { synchronous: { number: 1 } } });
  });

  test("leaves the number of pods to the autoscalers", async () => {
    const objects = await overlay("production");
    const scaled = ofKind(objects, "HorizontalPodAutoscaler").map(({ spec }) => spec.scaleTargetRef.name);
    expect(scaled.sort()).toEqual(services);
    const fixed = ofKind(objects, "Deployment").filter(
      ({ metadata, spec }) => scaled.includes(metadata.name) && spec.replicas !== undefined,
    );
    expect(fixed.map(nameOf)).toEqual([]);
  });
});

rendering("base with a choice of components", () => {
  test.each(COMBINATIONS.map((components) => [components]))("renders: %j", async (components) => {
    const objects = await renderCombination(components);
    expect(ofKind(objects, "Deployment").map(({ metadata }) => metadata.name)).toEqual(
      expect.arrayContaining(services),
    );
    const faults = workloads(objects).flatMap((workload) =>
      podFaults(workload, components.includes("dev-loosen") ? "local" : ""),
    );
    expect(faults).toEqual([]);
  });
});

const clusterWide = new Set([
  "Namespace",
  "PriorityClass",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
]);

function podFaults(workload: Rendered, overlayName: string): string[] {
  const { spec } = workload.spec.template;
  const faults = [
    spec.automountServiceAccountToken !== false && "mounts a token",
    spec.enableServiceLinks !== false && "has service links",
    spec.securityContext?.runAsNonRoot !== true && "may be root",
    !(spec.securityContext?.runAsUser > 10_000) && "has no numeric user above 10000",
    spec.securityContext?.seccompProfile?.type !== "RuntimeDefault" && "has no seccomp profile",
    ...spec.containers.flatMap((container: ContainerSpec) => containerFaults(container, overlayName)),
    ...(workload.kind === "Deployment" && workload.metadata.namespace === "souk"
      ? rolloutFaults(workload)
      : []),
    workload.kind === "Job" && !workload.spec.ttlSecondsAfterFinished && "is never cleared away",
  ];
  return faults.filter((fault) => fault !== false).map((fault) => `${nameOf(workload)} ${fault}`);
}

interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly ports?: readonly { readonly name: string }[];
}

function containerFaults({ image, resources, securityContext }: ContainerSpec, overlayName: string) {
  return [
    /:latest$/.test(image) && "runs whatever is the latest image",
    securityContext?.allowPrivilegeEscalation !== false && "may gain privileges",
    securityContext?.readOnlyRootFilesystem !== true && overlayName !== "local" && "may write to its root",
    JSON.stringify(securityContext?.capabilities) !== '{"drop":["ALL"]}' && "keeps capabilities",
    !resources?.requests?.cpu && "requests no CPU",
    !resources?.requests?.memory && "requests no memory",
    !resources?.limits?.memory && "has no limit of memory",
    resources?.limits?.cpu !== undefined && "is throttled",
  ];
}

function rolloutFaults({ spec }: Rendered) {
  const [app] = spec.template.spec.containers;
  return [
    spec.strategy?.rollingUpdate?.maxUnavailable !== 0 && "takes pods away before there are others",
    !app.lifecycle?.preStop?.sleep && "does not wait until callers know that it goes",
    !(spec.template.spec.terminationGracePeriodSeconds >= 15) && "has no time to end",
  ];
}

function serviceFaults(service: Rendered, objects: readonly Rendered[]): string[] {
  const { selector, ports } = service.spec;
  const isCanary = selector.track === "canary";
  const pods = workloads(objects).filter(
    (workload) =>
      workload.metadata.namespace === service.metadata.namespace && covers(podsOf(workload), selector),
  );
  if (isCanary) return pods.length > 0 ? [`${nameOf(service)} finds pods before there is a canary`] : [];
  if (pods.length === 0) return [`${nameOf(service)} finds no pods`];
  const offered = pods.flatMap(({ spec }) =>
    spec.template.spec.containers.flatMap((container: ContainerSpec) =>
      (container.ports ?? []).map(({ name }) => name),
    ),
  );
  return ports
    .filter(({ targetPort }: { targetPort: string }) => !offered.includes(targetPort))
    .map(({ targetPort }: { targetPort: string }) => `${nameOf(service)} finds no port ${targetPort}`);
}

function referenceFaults(workload: Rendered, objects: readonly Rendered[]): string[] {
  const { namespace = "" } = workload.metadata;
  const has = (kinds: readonly string[], name: string) =>
    objects.some(
      ({ kind, metadata }) =>
        kinds.includes(kind) && metadata.namespace === namespace && metadata.name === name,
    );
  const { spec } = workload.spec.template;
  const faults = [
    !has(["ServiceAccount"], spec.serviceAccountName) && `has no account ${spec.serviceAccountName}`,
    ...spec.containers.flatMap(({ envFrom = [] }) =>
      (envFrom as { configMapRef?: { name: string }; secretRef?: { name: string } }[]).map(
        ({ configMapRef, secretRef }) =>
          (configMapRef && !has(["ConfigMap"], configMapRef.name) && `lacks ${configMapRef.name}`) ||
          (secretRef && !has(["Secret", "ExternalSecret"], secretRef.name) && `lacks ${secretRef.name}`),
      ),
    ),
  ];
  return faults.filter(Boolean).map((fault) => `${nameOf(workload)} ${fault}`);
}

function isFor({ metadata, spec }: Rendered, workload: Rendered): boolean {
  const { matchLabels, matchExpressions } = spec.podSelector;
  if (metadata.namespace !== workload.metadata.namespace) return false;
  if (matchLabels === undefined && matchExpressions === undefined) return false;
  return matchExpressions === undefined && covers(podsOf(workload), matchLabels);
}
