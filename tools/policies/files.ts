import { stringify } from "yaml";
import { brokerUsers } from "./broker-users.ts";
import type { Edge } from "./call-graph.ts";
import { canaryObjects } from "./canary-objects.ts";
import { preparationJobs } from "./jobs.ts";
import type { KubernetesObject } from "./kubernetes-object.ts";
import { authorizationPolicies, destinationRules, sidecars } from "./mesh-objects.ts";
import { networkPolicies, standInPolicies } from "./network-objects.ts";
import { WORKLOADS } from "./workloads.ts";

const FROM_CALLS =
  "# Made by npm run gen:policies from the calls that services declare (services/*/calls.ts). Not to be edited.\n";
const FROM_MIGRATIONS =
  "# Made by npm run gen:policies; the name has a hash of what the Job does. Not to be edited.\n";

const FROM_CONTRACT =
  "# Made by npm run gen:policies from the services and their streams. Not to be edited.\n";

const standIns = new Set(WORKLOADS.filter(({ standIn }) => standIn).map(({ name }) => name));
const isStandIn = ({ metadata }: KubernetesObject) => standIns.has(metadata.name);

/** Every file that is made of the call graph, by its path from the root of the repository. */
export function policyFiles(edges: readonly Edge[]): Map<string, string> {
  const mesh = [...authorizationPolicies(edges), ...destinationRules(), ...sidecars(edges)];
  const inShop = mesh.filter((object) => !isStandIn(object));
  const files = new Map<string, readonly KubernetesObject[]>([
    ["components/mesh-sidecar/policies/authorization.yaml", ofKind(inShop, "AuthorizationPolicy")],
    ["components/mesh-sidecar/policies/destination-rules.yaml", ofKind(inShop, "DestinationRule")],
    ["components/mesh-sidecar/policies/sidecars.yaml", ofKind(inShop, "Sidecar")],
    ["components/sandboxes-mesh/policies.yaml", mesh.filter(isStandIn)],
    ["components/network-policies/policies.yaml", networkPolicies(edges)],
    ["components/sandboxes-network/policies.yaml", standInPolicies(edges)],
    ["components/canary/services.yaml", canaryObjects()],
  ]);
  return new Map(Array.from(files, ([path, objects]) => [`deploy/${path}`, write(FROM_CALLS, objects)]));
}

const ofKind = (objects: readonly KubernetesObject[], kind: string) =>
  objects.filter((object) => object.kind === kind);

/** The broker's users, for each of the ways it is run in: a component may only read files of its own. */
export async function brokerFiles(): Promise<Map<string, string>> {
  const text = FROM_CONTRACT + (await brokerUsers());
  return new Map(["data-dev", "data-nats"].map((name) => [`deploy/components/${name}/users.conf`, text]));
}

/** Every file of a Job whose name follows from what it does. */
export async function jobFiles(): Promise<Map<string, string>> {
  return new Map(Array.from(await preparationJobs(), ([path, job]) => [path, write(FROM_MIGRATIONS, [job])]));
}

function write(warning: string, objects: readonly KubernetesObject[]): string {
  const options = { lineWidth: 0, aliasDuplicateObjects: false };
  return warning + objects.map((object) => stringify(object, options)).join("---\n");
}
