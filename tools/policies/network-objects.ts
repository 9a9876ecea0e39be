import { type Edge, OUTSIDE } from "./call-graph.ts";
import { type KubernetesObject, nameLabel } from "./kubernetes-object.ts";
import {
  DATA_NAMESPACE,
  EDGE,
  METRICS_PORTS,
  MONITORING_NAMESPACE,
  NAMESPACE,
  STORE_PORTS,
  WORKLOADS,
  type Workload,
} from "./workloads.ts";

const tcp = (...ports: readonly number[]) => ports.map((port) => ({ protocol: "TCP", port }));
const inNamespace = (name: string) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
});

/** For each workload of the shop itself who reaches it and whom it reaches; all else is denied beside them. */
export function networkPolicies(edges: readonly Edge[]): KubernetesObject[] {
  const inShop = edges.filter((edge) => !isStandIn(edge.caller) && !isStandIn(edge.callee));
  return WORKLOADS.filter(({ standIn }) => !standIn).map((workload) =>
    policy(workload.name, workload.name, {
      ingress: [...callersOf(workload, inShop), scraping],
      egress: [dns, istiod, collector, ...storesOf(workload), ...calleesFrom(workload, inShop)],
    }),
  );
}

/** The same for the stand-ins of the outside world, both of their sides. */
export function standInPolicies(edges: readonly Edge[]): KubernetesObject[] {
  const about = edges.filter((edge) => isStandIn(edge.caller) || isStandIn(edge.callee));
  const own = WORKLOADS.filter(({ standIn }) => standIn).map((workload) =>
    policy(workload.name, workload.name, {
      ingress: callersOf(workload, about),
      egress: [dns, istiod, ...calleesFrom(workload, about)],
    }),
  );
  const others = WORKLOADS.filter(({ standIn }) => !standIn).map((workload) =>
    policy(`${workload.name}-stand-ins`, workload.name, {
      ingress: callersOf(workload, about),
      egress: calleesFrom(workload, about),
    }),
  );
  return [...own, ...others];
}

interface Rules {
  readonly ingress: readonly object[];
  readonly egress: readonly object[];
}

function policy(name: string, workload: string, { ingress, egress }: Rules): KubernetesObject {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: NAMESPACE },
    spec: {
      podSelector: { matchLabels: nameLabel(workload) },
      policyTypes: ["Ingress", "Egress"],
      ingress,
      egress,
    },
  };
}

const isStandIn = (name: string) => WORKLOADS.some((workload) => workload.name === name && workload.standIn);

function callersOf({ name, port }: Workload, edges: readonly Edge[]) {
  const from = edges.filter(({ callee }) => callee === name).map(({ caller }) => podsOf(caller));
  return from.length > 0 && port !== undefined ? [{ from, ports: tcp(port) }] : [];
}

function calleesFrom({ name }: Workload, edges: readonly Edge[]) {
  const callees = edges.filter(({ caller }) => caller === name).map(({ callee }) => callee);
  return WORKLOADS.filter((workload) => callees.includes(workload.name)).flatMap(({ name: callee, port }) =>
    port === undefined ? [] : [{ to: [podsOf(callee)], ports: tcp(port) }],
  );
}

const podsOf = (name: string) => ({
  podSelector: { matchLabels: name === OUTSIDE ? EDGE.podLabels : nameLabel(name) },
});

/** Of Postgres only the workload's own: one server for all in development, a cluster of its own elsewhere. */
function storesOf({ name, stores }: Workload) {
  return stores.map((store) => {
    const selectors = [nameLabel(store), ...(store === "postgres" ? [{ "souk.dev/database": name }] : [])];
    const to = selectors.map((matchLabels) => ({
      ...inNamespace(DATA_NAMESPACE),
      podSelector: { matchLabels },
    }));
    return { to, ports: tcp(STORE_PORTS[store]) };
  });
}

const scraping = { from: [inNamespace(MONITORING_NAMESPACE)], ports: tcp(...METRICS_PORTS) };
const collector = { to: [inNamespace(MONITORING_NAMESPACE)], ports: tcp(4317) };
const istiod = {
  to: [{ ...inNamespace("istio-system"), podSelector: { matchLabels: { app: "istiod" } } }],
  ports: tcp(15_012),
};
const dns = {
  to: [{ ...inNamespace("kube-system"), podSelector: { matchLabels: { "k8s-app": "kube-dns" } } }],
  ports: [
    { protocol: "UDP", port: 53 },
    { protocol: "TCP", port: 53 },
  ],
};
