// What mesh and network say to a call: each rule by itself, by the words of its own specification.

import type { KubernetesObject } from "../canary/objects.ts";
import { type Callee, ofKind, type Party, type Surroundings } from "./parties.ts";
import { covers, type Selector, selects } from "./selectors.ts";

/** A call from one workload to another; of one method, or of any. */
export interface Call {
  readonly caller: Party;
  readonly callee: Callee;
  /** `/souk.orders.v1.OrdersService/PlaceOrder`; undefined asks for any. */
  readonly path?: string | undefined;
}

/** What one of the rules says. */
export interface Ruling {
  readonly by: "sidecar" | "mtls" | "authorization" | "network";
  readonly allows: boolean;
  readonly says: string;
}

/** Names of objects, as people look for them. */
export const nameOf = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;

/** Whether the caller's sidecar knows the callee at all. */
export function bySidecar(surroundings: Surroundings, { caller, callee }: Call): Ruling {
  if (!caller.inMesh) return { by: "sidecar", allows: true, says: "the caller has no sidecar" };
  const own = ofKind(surroundings, "Sidecar").find(
    ({ spec }) => covers(caller.labels, spec.workloadSelector?.labels) && spec.workloadSelector,
  );
  if (!own) return { by: "sidecar", allows: true, says: "no Sidecar narrows what it sees" };
  const host = `${callee.name}.${surroundings.namespace}.svc.cluster.local`;
  const hosts: readonly string[] = own.spec.egress.flatMap(
    ({ hosts }: { hosts: readonly string[] }) => hosts,
  );
  const allows = hosts.some((one) =>
    [`./${host}`, "./*", "*/*", `${surroundings.namespace}/${host}`, `${surroundings.namespace}/*`].includes(
      one,
    ),
  );
  const isClosed = own.spec.outboundTrafficPolicy?.mode === "REGISTRY_ONLY";
  return {
    by: "sidecar",
    allows: allows || !isClosed,
    says: `${nameOf(own)} ${allows ? "names" : "does not name"} ${host}`,
  };
}

/** The mode of mutual TLS that holds for a callee: its own, its namespace's, or the mesh's default. */
export function mtlsMode(
  surroundings: Surroundings,
  { labels, targetPort }: Callee,
): { mode: string; from: string } {
  const all = ofKind(surroundings, "PeerAuthentication");
  const own = all.find(({ spec }) => spec.selector && covers(labels, spec.selector.matchLabels));
  const found = own ?? all.find(({ spec }) => !spec.selector);
  if (!found) return { mode: "PERMISSIVE", from: "the mesh's default" };
  const mode = found.spec.portLevelMtls?.[targetPort]?.mode ?? found.spec.mtls?.mode ?? "PERMISSIVE";
  return { mode, from: nameOf(found) };
}

/** Whether both sides have what mutual TLS asks for. */
export function byMtls(surroundings: Surroundings, { caller, callee }: Call): Ruling {
  const { mode, from } = mtlsMode(surroundings, callee);
  const allows = mode !== "STRICT" || !callee.inMesh || caller.inMesh;
  const who = caller.inMesh ? `the caller is ${caller.principal}` : "the caller has no sidecar";
  return { by: "mtls", allows, says: `${mode} (${from}); ${who}` };
}

/** Whether the callee's sidecar lets the call in: no DENY meets it, and an ALLOW does where there is any. */
export function byAuthorization(surroundings: Surroundings, call: Call): Ruling {
  const { callee } = call;
  if (!callee.inMesh) return { by: "authorization", allows: true, says: "the callee has no sidecar to ask" };
  const policies = ofKind(surroundings, "AuthorizationPolicy").filter(
    ({ spec }) => !spec.targetRefs && (!spec.selector || covers(callee.labels, spec.selector.matchLabels)),
  );
  const meets = ({ spec }: KubernetesObject) =>
    (spec.rules ?? []).some((rule: Rule) => ruleMeets(rule, call));
  const denies = policies.filter(({ spec }) => spec.action === "DENY").find(meets);
  if (denies) return { by: "authorization", allows: false, says: `${nameOf(denies)} denies it` };
  const allowing = policies.filter(({ spec }) => (spec.action ?? "ALLOW") === "ALLOW");
  if (allowing.length === 0)
    return { by: "authorization", allows: true, says: "no policy is about the callee" };
  const found = allowing.find(meets);
  if (!found)
    return {
      by: "authorization",
      allows: false,
      says: `none of ${allowing.map(nameOf).join(", ")} allows it`,
    };
  return { by: "authorization", allows: true, says: `${nameOf(found)} allows ${pathsOf(found, call)}` };
}

interface Rule {
  readonly from?: readonly { readonly source: Source }[];
  readonly to?: readonly { readonly operation: Operation }[];
  readonly when?: readonly unknown[];
}

interface Source {
  readonly principals?: readonly string[];
  readonly namespaces?: readonly string[];
}

interface Operation {
  readonly ports?: readonly string[];
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
}

function ruleMeets({ from, to }: Rule, { caller, callee, path }: Call): boolean {
  const isFrom = from === undefined || from.some(({ source }) => sourceMeets(source, caller));
  return isFrom && (to === undefined || to.some(({ operation }) => operationMeets(operation, callee, path)));
}

function sourceMeets({ principals, namespaces }: Source, { principal, inMesh }: Party): boolean {
  const namespace = principal.split("/")[2] ?? "";
  // Without a certificate nobody is anybody.
  const known = (patterns: readonly string[] | undefined, value: string) =>
    patterns === undefined || (inMesh && patterns.some((one) => like(one, value)));
  return known(principals, principal) && known(namespaces, namespace);
}

const operationMeets = ({ ports, paths }: Operation, { targetPort }: Callee, path: string | undefined) =>
  (ports === undefined || ports.includes(String(targetPort))) &&
  (paths === undefined || path === undefined || paths.some((one) => like(one, path)));

/** As Istio compares: exact, or with a star at either end. */
function like(pattern: string, value: string): boolean {
  if (pattern === "*") return value !== "";
  if (pattern.endsWith("*")) return value.startsWith(pattern.slice(0, -1));
  return pattern.startsWith("*") ? value.endsWith(pattern.slice(1)) : pattern === value;
}

function pathsOf({ spec }: KubernetesObject, call: Call): string {
  if (call.path !== undefined) return call.path;
  const rules: readonly Rule[] = spec.rules.filter((rule: Rule) => ruleMeets(rule, call));
  const paths = rules.flatMap(({ to = [] }) =>
    to.flatMap(({ operation }) => operation.paths ?? ["every path"]),
  );
  return paths.length > 0 ? [...new Set(paths)].join(", ") : "every path";
}

/** Whether the network lets the packets through, on both sides. */
export function byNetwork(surroundings: Surroundings, call: Call): Ruling[] {
  const { caller, callee } = call;
  return [
    byPolicies(surroundings, { pod: caller, other: callee, port: callee.targetPort, direction: "Egress" }),
    byPolicies(surroundings, { pod: callee, other: caller, port: callee.targetPort, direction: "Ingress" }),
  ];
}

interface Crossing {
  readonly pod: Party;
  readonly other: Party;
  readonly port: number | string;
  readonly direction: "Ingress" | "Egress";
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: object;
}

interface NetworkRule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port?: number | string; readonly endPort?: number }[];
}

function byPolicies(surroundings: Surroundings, { pod, other, port, direction }: Crossing): Ruling {
  const side = direction === "Egress" ? "out of the caller" : "into the callee";
  const policies = ofKind(surroundings, "NetworkPolicy").filter(
    ({ spec }) => selects(spec.podSelector ?? {}, pod.labels) && typesOf(spec).includes(direction),
  );
  if (policies.length === 0) return { by: "network", allows: true, says: `${side}: no policy` };
  const key = direction === "Egress" ? "egress" : "ingress";
  const opens = (rule: NetworkRule) => {
    const peers = direction === "Egress" ? rule.to : rule.from;
    return (
      (peers === undefined || peers.some((peer) => peerMeets(peer, other, surroundings))) &&
      portMeets(rule, port)
    );
  };
  const found = policies.find(({ spec }) => (spec[key] ?? []).some(opens));
  const says = found
    ? `${nameOf(found)} opens ${port}`
    : `none of ${policies.map(nameOf).join(", ")} opens ${port}`;
  return { by: "network", allows: found !== undefined, says: `${side}: ${says}` };
}

/** A policy that does not say is about what comes in, and about what goes out if it has rules for that. */
const typesOf = ({ policyTypes, egress }: { policyTypes?: readonly string[]; egress?: unknown }) =>
  policyTypes ?? ["Ingress", ...(egress ? ["Egress"] : [])];

function peerMeets(
  { podSelector, namespaceSelector, ipBlock }: Peer,
  { labels }: Party,
  { namespace, namespaceLabels }: Surroundings,
): boolean {
  if (ipBlock) return false;
  const own = { "kubernetes.io/metadata.name": namespace, ...namespaceLabels };
  return (
    (!namespaceSelector || selects(namespaceSelector, own)) && (!podSelector || selects(podSelector, labels))
  );
}

const portMeets = ({ ports }: NetworkRule, wanted: number | string) =>
  ports === undefined ||
  ports.some(
    ({ port, endPort }) =>
      port === undefined ||
      port === wanted ||
      (endPort !== undefined && Number(port) <= Number(wanted) && Number(wanted) <= endPort),
  );
