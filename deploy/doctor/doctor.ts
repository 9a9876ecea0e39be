// The whole way of a call: where it is led, how it is protected, who lets it through.

import type { KubernetesObject } from "../canary/objects.ts";
import { type Callee, findCallee, findParty, ofKind, type Surroundings } from "./parties.ts";
import {
  byAuthorization,
  byMtls,
  byNetwork,
  bySidecar,
  type Call,
  mtlsMode,
  nameOf,
  type Ruling,
} from "./rules.ts";

/** A share of the calls. */
export interface Destination {
  /** `always`, or the header that has to be there. */
  readonly when: string;
  readonly service: string;
  readonly percent: number;
  /** The rule by which callers spread over its pods; empty for none. */
  readonly rule: string;
}

/** What was found out about a way. */
export interface Diagnosis {
  readonly caller: string;
  readonly callee: string;
  readonly port: number;
  readonly protocol: string;
  readonly route: string;
  readonly destinations: readonly Destination[];
  readonly mtls: string;
  readonly rulings: readonly Ruling[];
  readonly verdict: "allowed" | "refused";
  /** The first rule that refuses; empty where none does. */
  readonly refusedBy: string;
  /** What is allowed, and yet will surprise. */
  readonly warnings: readonly string[];
}

/** Follows a call from a workload to a Service. @throws Error where one of them is not there. */
export function diagnose(
  surroundings: Surroundings,
  names: { caller: string; callee: string; path?: string | undefined },
): Diagnosis {
  const [caller, callee] = [findParty(surroundings, names.caller), findCallee(surroundings, names.callee)];
  const call: Call = { caller, callee, path: names.path };
  const rulings = [
    bySidecar(surroundings, call),
    ...byNetwork(surroundings, call),
    byMtls(surroundings, call),
    byAuthorization(surroundings, call),
  ];
  const refusing = rulings.find(({ allows }) => !allows);
  const route = findRoute(surroundings, callee);
  return {
    caller: `${caller.name} (${caller.account})`,
    callee: callee.name,
    port: callee.port,
    protocol: callee.protocol,
    route: route ? nameOf(route) : "none: by the Service, to all its pods alike",
    destinations: destinationsOf(surroundings, callee, route),
    mtls: mtlsMode(surroundings, callee).mode,
    rulings,
    verdict: refusing ? "refused" : "allowed",
    refusedBy: refusing ? `${refusing.by}: ${refusing.says}` : "",
    warnings: warningsOf(surroundings, call, route),
  };
}

interface RouteRule {
  readonly matches?: readonly {
    readonly headers?: readonly { readonly name: string; readonly value: string }[];
  }[];
  readonly backendRefs?: readonly { readonly name: string; readonly weight?: number }[];
}

const isFor = ({ spec }: KubernetesObject, { name }: Callee) =>
  (spec.parentRefs ?? []).some(
    (parent: { kind?: string; name: string }) => parent.kind === "Service" && parent.name === name,
  );

function findRoute(surroundings: Surroundings, callee: Callee): KubernetesObject | undefined {
  return ofKind(surroundings, "GRPCRoute", "HTTPRoute").find((route) => isFor(route, callee));
}

function destinationsOf(
  surroundings: Surroundings,
  callee: Callee,
  route: KubernetesObject | undefined,
): Destination[] {
  const ruleFor = (service: string) => {
    const host = `${service}.${surroundings.namespace}.svc.cluster.local`;
    return (
      ofKind(surroundings, "DestinationRule").find(({ spec }) => [host, service].includes(spec.host))
        ?.metadata.name ?? ""
    );
  };
  const rules: readonly RouteRule[] = route?.spec.rules ?? [{ backendRefs: [{ name: callee.name }] }];
  return rules.flatMap(({ matches = [], backendRefs = [] }) => {
    const headers = matches.flatMap(({ headers: wanted = [] }) =>
      wanted.map(({ name, value }) => `${name}: ${value}`),
    );
    const sum = backendRefs.reduce((total, { weight = 1 }) => total + weight, 0);
    return backendRefs.map(({ name, weight = 1 }) => ({
      when: headers.join(" or ") || "always",
      service: name,
      percent: sum === 0 ? 0 : Math.round((1_000 * weight) / sum) / 10,
      rule: ruleFor(name),
    }));
  });
}

function warningsOf(
  surroundings: Surroundings,
  { caller, callee }: Call,
  route: KubernetesObject | undefined,
): string[] {
  const host = `${callee.name}.${surroundings.namespace}.svc.cluster.local`;
  const virtual = ofKind(surroundings, "VirtualService").find(({ spec }) =>
    spec.hosts?.some((one: string) => one === host || one === callee.name),
  );
  const routes = ofKind(surroundings, "GRPCRoute", "HTTPRoute").filter((one) => isFor(one, callee));
  const accepted = route?.status?.parents?.some(
    ({ conditions = [] }: { conditions?: readonly { type: string; status: string }[] }) =>
      conditions.some(({ type, status }) => type === "Accepted" && status === "True"),
  );
  const warnings = [
    virtual && `${nameOf(virtual)} is for the same host: which of both counts is not defined`,
    routes.length > 1 && `several routes are for it: ${routes.map(nameOf).join(", ")}`,
    route?.status && !accepted && `${nameOf(route)} is not accepted by the mesh`,
    route && !caller.inMesh && "the caller has no sidecar: it follows no route, and no weight",
    callee.protocol === "undeclared" &&
      "its port does not say what it speaks: no route, no policy by path holds",
  ];
  return warnings.filter((one) => typeof one === "string");
}
