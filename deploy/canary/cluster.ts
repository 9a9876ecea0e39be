// What the tool asks of a cluster, object by object.

import { ApiRefusal, type ApiServer } from "./api-server.ts";
import { CANARY_LABEL, FIELD_MANAGER, type KubernetesObject, NAME_LABEL } from "./objects.ts";

/** One namespace of a cluster. */
export interface Cluster {
  readonly namespace: string;
  readonly api: ApiServer;
}

/** Where objects of a kind are. */
export interface Resource {
  /** `/api/v1`, `/apis/apps/v1`. */
  readonly group: string;
  readonly plural: string;
}

export const CONFIG_MAPS: Resource = { group: "/api/v1", plural: "configmaps" };
export const PODS: Resource = { group: "/api/v1", plural: "pods" };
export const SERVICES: Resource = { group: "/api/v1", plural: "services" };
export const EVENTS: Resource = { group: "/api/v1", plural: "events" };
export const DEPLOYMENTS: Resource = { group: "/apis/apps/v1", plural: "deployments" };
export const JOBS: Resource = { group: "/apis/batch/v1", plural: "jobs" };
export const LEASES: Resource = { group: "/apis/coordination.k8s.io/v1", plural: "leases" };
export const AUTOSCALERS: Resource = { group: "/apis/autoscaling/v2", plural: "horizontalpodautoscalers" };
export const SCALED_OBJECTS: Resource = { group: "/apis/keda.sh/v1alpha1", plural: "scaledobjects" };
export const GRPC_ROUTES: Resource = { group: "/apis/gateway.networking.k8s.io/v1", plural: "grpcroutes" };
export const HTTP_ROUTES: Resource = { group: "/apis/gateway.networking.k8s.io/v1", plural: "httproutes" };
export const ROLLOUTS: Resource = { group: "/apis/argoproj.io/v1alpha1", plural: "rollouts" };

const pathTo = ({ namespace }: Cluster, { group, plural }: Resource, name?: string) =>
  `${group}/namespaces/${namespace}/${plural}${name === undefined ? "" : `/${name}`}`;

/** Resolves to undefined where there is no such object, or no such kind. */
export async function find(
  cluster: Cluster,
  resource: Resource,
  name: string,
): Promise<KubernetesObject | undefined> {
  return await cluster.api.ask({ path: pathTo(cluster, resource, name) }).catch(absent);
}

function absent(error: unknown): undefined {
  if (error instanceof ApiRefusal && error.status === 404) return undefined;
  throw error;
}

/** All objects of a kind that a selector finds; none where the kind is unknown. */
export async function list(
  cluster: Cluster,
  resource: Resource,
  selector = "",
): Promise<readonly KubernetesObject[]> {
  const query = selector === "" ? "" : `?labelSelector=${encodeURIComponent(selector)}`;
  const found = await cluster.api
    .ask<{ items?: readonly KubernetesObject[] }>({ path: pathTo(cluster, resource) + query })
    .catch(absent);
  return found?.items ?? [];
}

/**
 * Server-side apply under the tool's own name: what others manage of the object stays. With a `resourceVersion` in it, it is refused
 * (409) where the object has changed meanwhile.
 */
export async function apply(
  cluster: Cluster,
  resource: Resource,
  object: KubernetesObject,
): Promise<KubernetesObject> {
  const path = pathTo(cluster, resource, object.metadata.name);
  return await cluster.api.ask({
    verb: "PATCH",
    path: `${path}?fieldManager=${FIELD_MANAGER}&force=true`,
    body: object,
    contentType: "application/apply-patch+yaml",
  });
}

/** Makes an object; resolves to undefined where there is one of its name. */
export async function create(cluster: Cluster, resource: Resource, object: KubernetesObject) {
  return await cluster.api
    .ask({ verb: "POST", path: `${pathTo(cluster, resource)}?fieldManager=${FIELD_MANAGER}`, body: object })
    .catch((error: unknown) => {
      if (error instanceof ApiRefusal && error.status === 409) return undefined;
      throw error;
    });
}

/** Replaces an object that has not changed since it was read; resolves to undefined where it has. */
export async function replace(cluster: Cluster, resource: Resource, object: KubernetesObject) {
  const path = `${pathTo(cluster, resource, object.metadata.name)}?fieldManager=${FIELD_MANAGER}`;
  return await cluster.api.ask({ verb: "PUT", path, body: object }).catch((error: unknown) => {
    if (error instanceof ApiRefusal && (error.status === 409 || error.status === 404)) return undefined;
    throw error;
  });
}

/** Changes fields of an object. Lists of containers are merged by their names where `strategic`. */
export async function patch(
  cluster: Cluster,
  {
    resource,
    name,
    kind = "merge",
  }: { resource: Resource; name: string; kind?: "merge" | "strategic-merge" },
  body: object,
): Promise<KubernetesObject> {
  const path = `${pathTo(cluster, resource, name)}?fieldManager=${FIELD_MANAGER}`;
  return await cluster.api.ask({ verb: "PATCH", path, body, contentType: `application/${kind}-patch+json` });
}

/** Removes an object, and what it owns after it. */
export async function remove(cluster: Cluster, resource: Resource, name: string): Promise<void> {
  const path = `${pathTo(cluster, resource, name)}?propagationPolicy=Background`;
  await cluster.api.ask({ verb: "DELETE", path }).catch(absent);
}

/** The pods of a service, of both tracks. */
export const podsOf = (cluster: Cluster, service: string) => list(cluster, PODS, `${NAME_LABEL}=${service}`);

/** Says something about a service where people look for it: `kubectl events`. Best effort. */
export async function announce(
  cluster: Cluster,
  service: string,
  { type, reason, message }: { type: "Normal" | "Warning"; reason: string; message: string },
): Promise<void> {
  const now = new Date();
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: {
      name: `${service}-canary.${now.getTime().toString(16)}`,
      namespace: cluster.namespace,
      labels: { [CANARY_LABEL]: service },
    },
    involvedObject: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      namespace: cluster.namespace,
      name: service,
    },
    type,
    reason,
    message: message.slice(0, 1_000),
    source: { component: FIELD_MANAGER },
    reportingComponent: FIELD_MANAGER,
    firstTimestamp: now.toISOString(),
    lastTimestamp: now.toISOString(),
    count: 1,
  };
  await create(cluster, EVENTS, event).catch(() => {});
}
