// `souk mesh doctor`: asks the cluster that kubectl would ask, and reads only.

import { type ApiServer, connectAsPerson } from "../canary/api-server.ts";
import {
  type Cluster,
  DEPLOYMENTS,
  GRPC_ROUTES,
  HTTP_ROUTES,
  JOBS,
  list,
  type Resource,
  SERVICES,
} from "../canary/cluster.ts";
import type { KubernetesObject } from "../canary/objects.ts";
import { type Diagnosis, diagnose } from "./doctor.ts";
import type { Surroundings } from "./parties.ts";

const ISTIO = "/apis/networking.istio.io/v1";
const SECURITY = "/apis/security.istio.io/v1";

/** What has a say in whether and where a call arrives. */
const KINDS: readonly (Resource & { readonly kind: string })[] = [
  { ...DEPLOYMENTS, kind: "Deployment" },
  { ...DEPLOYMENTS, plural: "statefulsets", kind: "StatefulSet" },
  { ...JOBS, kind: "Job" },
  { ...SERVICES, kind: "Service" },
  { ...GRPC_ROUTES, kind: "GRPCRoute" },
  { ...HTTP_ROUTES, kind: "HTTPRoute" },
  { group: ISTIO, plural: "virtualservices", kind: "VirtualService" },
  { group: ISTIO, plural: "destinationrules", kind: "DestinationRule" },
  { group: ISTIO, plural: "sidecars", kind: "Sidecar" },
  { group: SECURITY, plural: "peerauthentications", kind: "PeerAuthentication" },
  { group: SECURITY, plural: "authorizationpolicies", kind: "AuthorizationPolicy" },
  { group: "/apis/networking.k8s.io/v1", plural: "networkpolicies", kind: "NetworkPolicy" },
];

/** Whose way is looked at. */
export interface AskedWay {
  readonly namespace: string;
  readonly caller: string;
  readonly callee: string;
  /** `/souk.orders.v1.OrdersService/PlaceOrder`. */
  readonly path?: string | undefined;
}

/** Looks at a way in the cluster. Rejects where caller or callee are not there. */
export async function examine({ namespace, ...names }: AskedWay): Promise<Diagnosis> {
  const api = await connectAsPerson();
  try {
    return diagnose(await readSurroundings({ api, namespace }), names);
  } finally {
    api.close();
  }
}

async function readSurroundings(cluster: Cluster): Promise<Surroundings> {
  const { namespace, api } = cluster;
  const lists = await Promise.all(
    // Objects of a list do not say their kind.
    KINDS.map(async ({ kind, ...resource }) =>
      (await list(cluster, resource)).map((object) => ({ ...object, kind })),
    ),
  );
  return { namespace, namespaceLabels: await labelsOf(api, namespace), objects: lists.flat() };
}

async function labelsOf(api: ApiServer, namespace: string) {
  const { metadata } = await api.ask<KubernetesObject>({ path: `/api/v1/namespaces/${namespace}` });
  return metadata.labels ?? {};
}
