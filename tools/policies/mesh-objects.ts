import { accountOf, type Edge } from "./call-graph.ts";
import { type KubernetesObject, nameLabel } from "./kubernetes-object.ts";
import { DATA_NAMESPACE, NAMESPACE, WORKLOADS, type Workload } from "./workloads.ts";

const isCalled = (workload: Workload): workload is Workload & { readonly port: number } =>
  workload.port !== undefined;

/** For each callee who may ask it for what; the deny-all beside them refuses everything else. */
export function authorizationPolicies(edges: readonly Edge[]): KubernetesObject[] {
  return WORKLOADS.filter(isCalled).map(({ name, port }) => ({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: nameLabel(name) },
      action: "ALLOW",
      rules: edges.filter(({ callee }) => callee === name).map((edge) => ruleFor(edge, port)),
    },
  }));
}

function ruleFor({ caller, operations }: Edge, port: number) {
  const ports = [`${port}`];
  const principals = [`cluster.local/ns/${NAMESPACE}/sa/${accountOf(caller)}`];
  const to = operations.map(({ methods, paths }) => ({ operation: { ports, methods, paths } }));
  return { from: [{ source: { principals } }], to: to.length > 0 ? to : [{ operation: { ports } }] };
}

/** For each workload the only hosts it finds: what it calls, and the stores. */
export function sidecars(edges: readonly Edge[]): KubernetesObject[] {
  return WORKLOADS.map(({ name, stores }) => {
    const callees = edges.filter(({ caller }) => caller === name).map(({ callee }) => callee);
    const hosts = callees.flatMap(tracksOf).map((host) => `./${host}.${NAMESPACE}.svc.cluster.local`);
    return {
      apiVersion: "networking.istio.io/v1",
      kind: "Sidecar",
      metadata: { name, namespace: NAMESPACE },
      spec: {
        workloadSelector: { labels: nameLabel(name) },
        egress: [
          { hosts: [...hosts, ...(stores.length > 0 ? [`${DATA_NAMESPACE}/*`] : []), "istio-system/*"] },
        ],
        outboundTrafficPolicy: { mode: "REGISTRY_ONLY" },
      },
    };
  });
}

const canaried = (name: string) => WORKLOADS.some((one) => one.name === name && !one.standIn);

/** The names a service goes by: a canary's route leads from the first to the other two. */
function tracksOf(name: string): string[] {
  return canaried(name) ? [name, `${name}-stable`, `${name}-canary`] : [name];
}

/** How callers spread over a workload's pods and leave out those that fail. */
export function destinationRules(): KubernetesObject[] {
  return WORKLOADS.filter(isCalled).map((workload) => destinationRule(workload.name, workload.protocol));
}

/** One Service's rule. A rule of the root Service reaches neither of those that a route leads to. */
export function destinationRule(host: string, protocol: Workload["protocol"]): KubernetesObject {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: host, namespace: NAMESPACE },
    spec: {
      host: `${host}.${NAMESPACE}.svc.cluster.local`,
      trafficPolicy: {
        loadBalancer: { simple: "LEAST_REQUEST", warmup: { duration: "20s", minimumPercent: 10 } },
        connectionPool: {
          tcp: { connectTimeout: "1s" },
          http: {
            http2MaxRequests: 1024,
            // Both of the gateway's kinds of callers keep their own HTTP: REST over 1.1, gRPC over 2.
            ...(protocol === "http" ? { useClientProtocol: true } : {}),
          },
        },
        outlierDetection: {
          consecutiveGatewayErrors: 5,
          consecutive5xxErrors: 0,
          interval: "5s",
          baseEjectionTime: "30s",
          maxEjectionPercent: 50,
          minHealthPercent: 50,
        },
      },
    },
  };
}
