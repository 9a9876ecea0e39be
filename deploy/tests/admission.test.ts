import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { type ApiServer, connectAsPerson } from "../canary/api-server.ts";
import { type Rendered, render, renderCombination, renderer } from "./render.ts";

// What components/admission refuses, said by an API server: any will do, also one without nodes (npm run check:manifests).
const chosen = renderer && process.env.SOUK_API_SERVER;
const against = describe.skipIf(!chosen);
if (!chosen)
  console.warn(
    "skipped: SOUK_API_SERVER names no kubeconfig, so no API server judged what admission refuses",
  );

const suffix = randomUUID().slice(0, 8);
const namespace = `admission-${suffix}`;
const POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

let api: ApiServer;
const made: string[] = [];

beforeAll(async () => {
  if (!chosen) return;
  process.env.KUBECONFIG = chosen;
  api = await connectAsPerson();
  await create("/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: IN_THE_MESH },
  });
  await create(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "orders" },
  });
  for (const object of await renderCombination(["admission"])) await install(object);
  // A policy counts as soon as the API server has read it, each by itself.
  for (const bad of [taggedPod, nakedPod, bareLabels, permissive, virtualService])
    await eventually(async () => expect(await refusalOf(...bad())).toBeDefined(), 30_000);
  await eventually(async () => expect(await renamed({})).toBeDefined(), 30_000);
}, 120_000);
afterAll(async () => {
  for (const path of made.reverse()) await api.ask({ verb: "DELETE", path });
  api?.close();
});

const IN_THE_MESH = { "pod-security.kubernetes.io/enforce": "restricted", "istio-injection": "enabled" };

interface Named {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: object };
  readonly spec?: unknown;
}

async function create(path: string, body: Named): Promise<void> {
  await api.ask({ verb: "POST", path, body });
  made.push(`${path}/${body.metadata.name}`);
}

/** The policies and bindings of the component, for this test's namespace alone. */
async function install(object: Rendered) {
  const metadata = { name: `${object.metadata.name}-${suffix}` };
  if (object.kind === "ValidatingAdmissionPolicy")
    await create(POLICIES, { apiVersion: object.apiVersion, kind: object.kind, metadata, spec: object.spec });
  if (object.kind === "ValidatingAdmissionPolicyBinding") {
    const { policyName, validationActions, matchResources } = object.spec;
    expect(matchResources.namespaceSelector.matchLabels).toEqual({ "kubernetes.io/metadata.name": "souk" });
    const matchLabels = { "kubernetes.io/metadata.name": namespace };
    await create(BINDINGS, {
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata,
      spec: {
        policyName: `${policyName}-${suffix}`,
        validationActions,
        matchResources: { namespaceSelector: { matchLabels } },
      },
    });
  }
}

/** Why the API server would not take an object; undefined where it would. Nothing is made. */
async function refusalOf(path: string, body: object): Promise<string | undefined> {
  try {
    await api.ask({ verb: "POST", path: `${path}?dryRun=All`, body });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

type Attempt = readonly [path: string, body: object];

const resources = { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "64Mi" } };
const digest = `registry.example.com/souk/orders@sha256:${"0".repeat(64)}`;
const container = (change: object = {}) => ({ name: "app", image: digest, resources, ...change });
const restricted = {
  runAsNonRoot: true,
  runAsUser: 10_001,
  seccompProfile: { type: "RuntimeDefault" },
};
const hardened = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
const harden = (one: object) => ({ ...one, securityContext: hardened });

function pod(spec: { readonly [field: string]: unknown } = {}, metadata: object = {}): Attempt {
  const {
    containers = [container()],
    initContainers = [],
    ...rest
  } = spec as {
    containers?: readonly object[];
    initContainers?: readonly object[];
  };
  return [
    `/api/v1/namespaces/${namespace}/pods`,
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a-pod", labels: { "app.kubernetes.io/name": "orders" }, ...metadata },
      spec: {
        serviceAccountName: "orders",
        automountServiceAccountToken: false,
        securityContext: restricted,
        containers: containers.map(harden),
        initContainers: initContainers.map(harden),
        ...rest,
      },
    },
  ];
}

const taggedPod = () => pod({ containers: [container({ image: "souk/orders:1.2.0" })] });
const nakedPod = () =>
  pod({}, { labels: { "app.kubernetes.io/name": "x", "sidecar.istio.io/inject": "false" } });
const bareLabels = () => pod({}, { labels: {} });
const peerAuthentication = (spec: object): Attempt => [
  `/apis/security.istio.io/v1/namespaces/${namespace}/peerauthentications`,
  { apiVersion: "security.istio.io/v1", kind: "PeerAuthentication", metadata: { name: "default" }, spec },
];
const permissive = () => peerAuthentication({ mtls: { mode: "PERMISSIVE" } });
const virtualService = (): Attempt => [
  `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices`,
  {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "orders" },
    spec: { hosts: ["orders"], http: [{ route: [{ destination: { host: "orders" } }] }] },
  },
];

/** What is said to other labels of the namespace. */
async function renamed(labels: object): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${namespace}?dryRun=All`;
  const body = { metadata: { labels: { ...emptied, ...labels } } };
  const contentType = "application/merge-patch+json";
  return await api.ask({ verb: "PATCH", path, body, contentType }).then(
    () => undefined,
    (error: Error) => error.message,
  );
}
const emptied = { "pod-security.kubernetes.io/enforce": null, "istio-injection": null };

against("an API server with the component admission", () => {
  beforeEach(async () => expect(await refusalOf(...pod())).toBeUndefined());

  test("takes every pod of production, once its image has a digest", async () => {
    const rendered = await render("deploy/overlays/production");
    const workloads = rendered.filter(
      ({ kind, metadata }) =>
        ["Deployment", "StatefulSet", "Job"].includes(kind) && metadata.namespace === "souk",
    );
    expect(workloads.length).toBeGreaterThan(12);
    const refusals: string[] = [];
    for (const { metadata, spec } of workloads) {
      const { priorityClassName: _elsewhere, ...own } = spec.template.spec;
      const containers = own.containers.map((one: { image: string }) => ({
        ...one,
        image: one.image.replace(/:[^:/]+$/, digest.slice(digest.indexOf("@"))),
      }));
      const [path, body] = pod();
      const asked = { ...own, containers, serviceAccountName: "orders" };
      const labelled = { ...spec.template.metadata, name: metadata.name };
      const refusal = await refusalOf(path, { ...body, metadata: labelled, spec: asked });
      if (refusal !== undefined) refusals.push(`${metadata.name}: ${refusal}`);
    }
    expect(refusals).toEqual([]);
  });

  test("refuses images that are named by a tag, in whatever kind of container", async () => {
    const why = "Images are named by their digest.";
    expect(await refusalOf(...taggedPod())).toContain(why);
    const init = container({ name: "before", image: "busybox:1" });
    expect(await refusalOf(...pod({ initContainers: [init] }))).toContain(why);
    const disguised = container({ name: "istio-proxy", image: "evil.example.com/proxy:1" });
    expect(await refusalOf(...pod({ initContainers: [disguised] }))).toContain(why);
  });

  test("takes the sidecar that the mesh puts into a pod, by the tag the mesh gives it", async () => {
    const sidecar = container({
      name: "istio-proxy",
      image: "docker.io/istio/proxyv2:1.30.3",
      restartPolicy: "Always",
    });
    expect(await refusalOf(...pod({ initContainers: [sidecar] }))).toBeUndefined();
  });

  test.each(["issuer", "card-processor", "carrier", "tools"])(
    "refuses the stand-in %s, by digest too",
    async (name) => {
      const image = digest.replace("souk/orders", `souk/${name}`);
      expect(await refusalOf(...pod({ containers: [container({ image })] }))).toContain(
        "Stand-ins of the outside world",
      );
    },
  );

  test.each([
    ["no request of CPU", { requests: { memory: "1Gi" }, limits: { memory: "1Gi" } }],
    ["no limit of memory", { requests: { cpu: "1", memory: "1Gi" } }],
    ["nothing at all", {}],
  ])("refuses containers that say %s", async (_, asked) => {
    const refusal = await refusalOf(...pod({ containers: [container({ resources: asked })] }));
    expect(refusal).toContain("Containers request CPU and memory");
  });

  test("refuses pods that do not say what they are, and those of nobody", async () => {
    expect(await refusalOf(...bareLabels())).toContain("Pods say what they are");
    expect(await refusalOf(...pod({}, { labels: undefined }))).toContain("Pods say what they are");
    expect(await refusalOf(...pod({ serviceAccountName: "default" }))).toMatch(/service account/);
  });

  test("refuses pods that leave the mesh, but for those that nobody calls", async () => {
    const why = "Only what nobody calls runs without a sidecar.";
    expect(await refusalOf(...nakedPod())).toContain(why);
    const annotations = { "sidecar.istio.io/inject": "false" };
    expect(await refusalOf(...pod({}, { annotations }))).toContain(why);
    const labels = {
      "app.kubernetes.io/name": "orders-migrate",
      "app.kubernetes.io/component": "preparation",
      "sidecar.istio.io/inject": "false",
    };
    expect(await refusalOf(...pod({}, { labels }))).toBeUndefined();
  });

  test("refuses to weaken mutual TLS, for all pods or for a port", async () => {
    expect(await refusalOf(...permissive())).toContain("Mutual TLS is not weakened.");
    const selector = { matchLabels: { "app.kubernetes.io/name": "orders" } };
    const port = peerAuthentication({ selector, portLevelMtls: { "50051": { mode: "DISABLE" } } });
    expect(await refusalOf(...port)).toContain("Mutual TLS is not weakened for a port either.");
    expect(await refusalOf(...peerAuthentication({ mtls: { mode: "STRICT" } }))).toBeUndefined();
  });

  test("refuses a VirtualService", async () => {
    expect(await refusalOf(...virtualService())).toContain("Routes are GRPCRoutes and HTTPRoutes");
  });

  test("refuses to take Pod Security or the sidecars away from the namespace", async () => {
    expect(await renamed(IN_THE_MESH)).toBeUndefined();
    expect(await renamed({ ...IN_THE_MESH, "pod-security.kubernetes.io/enforce": "baseline" })).toContain(
      "restricted",
    );
    expect(await renamed({ ...IN_THE_MESH, "istio-injection": "disabled" })).toContain("stays in it");
    expect(
      await renamed({ ...IN_THE_MESH, "istio-injection": null, "istio.io/rev": "1-31" }),
    ).toBeUndefined();
  });
});
