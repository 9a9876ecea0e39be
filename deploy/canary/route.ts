// The route between both tracks of a service, as the tool applies it.

import { trackHeader } from "#kit/rpc/call.ts";
import { CANARY_LABEL, type KubernetesObject, RUN_ANNOTATION } from "./objects.ts";

/** What a route is made of. */
export interface RouteOptions {
  readonly service: string;
  readonly namespace: string;
  readonly port: number;
  /** What the Service's port says it speaks. */
  readonly protocol: "grpc" | "http";
  /** Percent of the calls that go to the canary. */
  readonly weight: number;
  /** The run that may change it. */
  readonly run: string;
}

/** The route that calls inside the mesh take: by header to the canary, else by weight. */
export function meshRoute(options: RouteOptions): KubernetesObject {
  const { service, namespace, port, protocol } = options;
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: protocol === "grpc" ? "GRPCRoute" : "HTTPRoute",
    metadata: metadata(service, options),
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: service, namespace, port }],
      rules: [
        {
          matches: [{ headers: [{ type: "Exact", name: trackHeader, value: "canary" }] }],
          backendRefs: [backend(`${service}-canary`, port, 1)],
        },
        { backendRefs: backends(options) },
      ],
    },
  };
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/**
 * The same weights on the way in: calls that a Gateway takes in do not follow the route of the Service they are led to. It goes
 * before the route it copies, since a match by path and method is more than one by path; with it gone, that one counts again.
 */
export function edgeRoute(original: KubernetesObject, options: RouteOptions): KubernetesObject {
  const { hostnames, parentRefs, rules } = original.spec;
  const filters = (rules as readonly Rule[]).flatMap((rule) => rule.filters ?? []);
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: metadata(`${original.metadata.name}-${options.service}-tracks`, options),
    spec: {
      ...(hostnames ? { hostnames } : {}),
      parentRefs,
      rules: [
        {
          matches: METHODS.map((method) => ({ path: { type: "PathPrefix", value: "/" }, method })),
          ...(filters.length > 0 ? { filters } : {}),
          backendRefs: backends(options),
        },
      ],
    },
  };
}

/** Whether a route leads from a Gateway straight to the service, with one rule for all paths: what `edgeRoute` can stand before. */
export function leadsIn({ metadata: { labels }, spec }: KubernetesObject, service: string): boolean {
  const fromGateway = (spec.parentRefs ?? []).some(
    ({ kind = "Gateway" }: { kind?: string }) => kind === "Gateway",
  );
  const led = (spec.rules ?? []).flatMap((rule: Rule) => rule.backendRefs ?? []);
  const toService = led.some(({ name }: { name: string }) => name === service);
  return fromGateway && toService && labels?.[CANARY_LABEL] === undefined;
}

/** The canary's percent of a route made here; undefined for one of another shape. */
export function weightOf({ spec }: KubernetesObject): number | undefined {
  const refs: readonly { name: string; weight?: number }[] = spec?.rules?.at(-1)?.backendRefs ?? [];
  const [stable, canary] = ["-stable", "-canary"].map((end) => refs.find(({ name }) => name.endsWith(end)));
  if (!stable || !canary) return undefined;
  const [forStable, forCanary] = [stable.weight ?? 1, canary.weight ?? 1];
  return forCanary === 0 ? 0 : (100 * forCanary) / (forStable + forCanary);
}

/** A route made here, with all calls to the stable pods but those that choose by header. */
export function withoutCalls({ apiVersion, kind, metadata, spec }: KubernetesObject): KubernetesObject {
  const { name, namespace, labels, annotations } = metadata;
  const rules: readonly Rule[] = spec.rules;
  const last = rules.at(-1);
  const refs = (last?.backendRefs ?? []).map((ref) => ({
    ...ref,
    weight: ref.name.endsWith("-canary") ? 0 : 100,
  }));
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace && { namespace }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
    },
    spec: { ...spec, rules: [...rules.slice(0, -1), { ...last, backendRefs: refs }] },
  };
}

interface Rule {
  readonly filters?: readonly unknown[];
  readonly backendRefs?: readonly { readonly name: string; readonly weight?: number }[];
}

/** Whether the mesh has said that it takes a route. */
export function isAccepted({ status, metadata: { generation } }: KubernetesObject): boolean {
  const parents: readonly { conditions?: readonly Condition[] }[] = status?.parents ?? [];
  return parents.some(({ conditions = [] }) =>
    conditions.some(
      ({ type, status: is, observedGeneration }) =>
        type === "Accepted" && is === "True" && (observedGeneration ?? 0) >= (generation ?? 0),
    ),
  );
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly observedGeneration?: number;
}

const metadata = (name: string, { service, namespace, run }: RouteOptions) => ({
  name,
  namespace,
  labels: { [CANARY_LABEL]: service },
  annotations: { [RUN_ANNOTATION]: run },
});

const backend = (name: string, port: number, weight: number) => ({
  group: "",
  kind: "Service",
  name,
  port,
  weight,
});

const backends = ({ service, port, weight }: RouteOptions) => [
  backend(`${service}-stable`, port, 100 - weight),
  backend(`${service}-canary`, port, weight),
];
