// Who calls, and who is called, as the cluster knows them.

import type { KubernetesObject } from "../canary/objects.ts";
import { covers, type Labels } from "./selectors.ts";

/** All objects that have a say in whether a call arrives, of one namespace. */
export interface Surroundings {
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  readonly objects: readonly KubernetesObject[];
}

/** A workload as mesh and network see it. */
export interface Party {
  readonly name: string;
  readonly account: string;
  /** By which the mesh knows it. */
  readonly principal: string;
  readonly labels: Labels;
  /** Whether calls from and to it go through a sidecar. */
  readonly inMesh: boolean;
}

/** What is called. */
export interface Callee extends Party {
  readonly port: number;
  /** Where the pods listen: a number, or a port's name. */
  readonly targetPort: number | string;
  readonly protocol: string;
}

/** Objects of a kind. */
export const ofKind = ({ objects }: Surroundings, ...kinds: string[]) =>
  objects.filter(({ kind }) => kinds.includes(kind));

/** Finds a workload by its name. @throws Error with the names there are. */
export function findParty(surroundings: Surroundings, name: string): Party {
  const workloads = ofKind(surroundings, "Deployment", "StatefulSet", "Job");
  const found = workloads.find(({ metadata }) => metadata.name === name);
  if (!found)
    throw new Error(
      `there is no workload ${name}; there are ${workloads.map(({ metadata }) => metadata.name).join(", ")}`,
    );
  return toParty(surroundings, found);
}

function toParty({ namespace, namespaceLabels }: Surroundings, { metadata, spec }: KubernetesObject): Party {
  const labels: Labels = spec.template.metadata?.labels ?? {};
  const account: string = spec.template.spec.serviceAccountName ?? "default";
  const injects =
    namespaceLabels["istio-injection"] === "enabled" || namespaceLabels["istio.io/rev"] !== undefined;
  const own = labels["sidecar.istio.io/inject"];
  return {
    name: metadata.name,
    account,
    principal: `cluster.local/ns/${namespace}/sa/${account}`,
    labels,
    inMesh: own === undefined ? injects : own === "true",
  };
}

/** Finds what stands behind a Service. @throws Error where there is no such Service, or nothing behind it. */
export function findCallee(surroundings: Surroundings, name: string): Callee {
  const service = ofKind(surroundings, "Service").find(({ metadata }) => metadata.name === name);
  if (!service) throw new Error(`there is no Service ${name}`);
  const behind = ofKind(surroundings, "Deployment", "StatefulSet").find(({ spec }) =>
    covers(spec.template.metadata?.labels ?? {}, service.spec.selector),
  );
  if (!behind) throw new Error(`the Service ${name} finds no workload`);
  const [port] = service.spec.ports as readonly ServicePort[];
  if (!port) throw new Error(`the Service ${name} has no port`);
  const protocol = port.appProtocol ?? "undeclared";
  return {
    ...toParty(surroundings, behind),
    name,
    port: port.port,
    targetPort: numberOf(behind, port),
    protocol,
  };
}

interface ServicePort {
  readonly port: number;
  readonly targetPort?: number | string;
  readonly appProtocol?: string;
}

/** A pod's port by its name, as its container declares it. */
function numberOf({ spec }: KubernetesObject, { port, targetPort = port }: ServicePort): number | string {
  const declared: readonly { name?: string; containerPort: number }[] = spec.template.spec.containers.flatMap(
    ({ ports = [] }: { ports?: readonly { name?: string; containerPort: number }[] }) => ports,
  );
  return declared.find(({ name }) => name === targetPort)?.containerPort ?? targetPort;
}
