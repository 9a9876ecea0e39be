// The routes of one service in the cluster, held by one run.

import { ApiRefusal } from "./api-server.ts";
import {
  apply,
  type Cluster,
  find,
  GRPC_ROUTES,
  HTTP_ROUTES,
  list,
  patch,
  type Resource,
  SERVICES,
} from "./cluster.ts";
import { CANARY_LABEL, type KubernetesObject, RUN_ANNOTATION } from "./objects.ts";
import { Taken } from "./record.ts";
import {
  edgeRoute,
  isAccepted,
  leadsIn,
  meshRoute,
  type RouteOptions,
  weightOf,
  withoutCalls,
} from "./route.ts";

const ATTEMPTS = 5;

/** The routes that share the calls of a service between its tracks. */
export interface Routes {
  /** Percent of the calls that go to the canary by what the API server has; 0 without a route. */
  weight(): Promise<number>;
  /**
   * Sets the weight on all of them, unless they have it.
   * @throws Taken where the routes are another run's by now.
   */
  set(weight: number): Promise<void>;
  /** Whether the mesh has taken what was set last. */
  accepted(): Promise<boolean>;
}

/** What a service's port is and speaks. */
export async function readPort(
  cluster: Cluster,
  service: string,
): Promise<Pick<RouteOptions, "port" | "protocol">> {
  const found = await find(cluster, SERVICES, service);
  const port = found?.spec.ports[0] as { port: number; appProtocol?: string } | undefined;
  if (!port) throw new Error(`there is no Service ${service} in the namespace ${cluster.namespace}`);
  return { port: port.port, protocol: port.appProtocol === "grpc" ? "grpc" : "http" };
}

/** Opens the routes for a run, and makes those that are there its own, whoever had them. */
export async function openRoutes(cluster: Cluster, service: string, run: string): Promise<Routes> {
  const options = { service, namespace: cluster.namespace, run, ...(await readPort(cluster, service)) };
  const main = options.protocol === "grpc" ? GRPC_ROUTES : HTTP_ROUTES;
  const known = await find(cluster, main, service);
  if (known && known.metadata.labels?.[CANARY_LABEL] !== service)
    throw new Error(`the route ${service} is somebody else's (a rollout controller's?); remove it first`);
  for (const route of await list(cluster, main, `${CANARY_LABEL}=${service}`))
    await claim(cluster, main, route, run);
  const applied = new Set<string>();
  const set = async (resource: Resource, route: KubernetesObject) => {
    // Once by each run, since what a route copies or how it is made may have changed.
    await put(cluster, resource, { route, run, always: !applied.has(route.metadata.name) });
    applied.add(route.metadata.name);
  };
  return {
    async weight() {
      const route = await find(cluster, main, service);
      return route ? (weightOf(route) ?? 0) : 0;
    },
    async set(weight) {
      const routes = options.protocol === "http" ? await list(cluster, HTTP_ROUTES) : [];
      // The way in first: a weight that is taken away is taken away where most calls come from.
      for (const original of routes.filter((route) => leadsIn(route, service)))
        await set(HTTP_ROUTES, edgeRoute(original, { ...options, weight }));
      await set(main, meshRoute({ ...options, weight }));
    },
    async accepted() {
      const route = await find(cluster, main, service);
      return route !== undefined && isAccepted(route);
    },
  };
}

/** Writes the run's name on a route, so that whoever held it before finds that out at its next write. */
async function claim(
  cluster: Cluster,
  resource: Resource,
  route: KubernetesObject,
  run: string,
): Promise<void> {
  const metadata = { annotations: { [RUN_ANNOTATION]: run } };
  await patch(cluster, { resource, name: route.metadata.name }, { metadata });
}

interface Putting {
  readonly route: KubernetesObject;
  readonly run: string;
  readonly always: boolean;
}

/** Applies a route that is this run's; again where the mesh has written its status meanwhile. */
async function put(cluster: Cluster, resource: Resource, { route, run, always }: Putting): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const known = await find(cluster, resource, route.metadata.name);
    const holder = known?.metadata.annotations?.[RUN_ANNOTATION];
    if (known && holder !== run) throw new Taken(`the route ${route.metadata.name} is held by ${holder}`);
    if (known && !always && weightOf(known) === weightOf(route)) return;
    const { resourceVersion } = known?.metadata ?? {};
    const metadata = { ...route.metadata, ...(resourceVersion && { resourceVersion }) };
    try {
      await apply(cluster, resource, { ...route, metadata });
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof ApiRefusal && error.status === 409)) throw error;
    }
  }
}

/**
 * Takes all calls from the canary without holding its routes: for the keeper, when there is no pod to answer them. Whoever holds them
 * wants the same, and gives the calls back when there are pods again.
 */
export async function takeCallsAway(cluster: Cluster, service: string): Promise<boolean> {
  let taken = false;
  for (const resource of [HTTP_ROUTES, GRPC_ROUTES])
    for (const route of await list(cluster, resource, `${CANARY_LABEL}=${service}`)) {
      if ((weightOf(route) ?? 0) === 0) continue;
      const run = route.metadata.annotations?.[RUN_ANNOTATION] ?? "";
      await put(cluster, resource, { route: withoutCalls(route), run, always: false });
      taken = true;
    }
  return taken;
}
