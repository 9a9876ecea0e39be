// What a whole cluster does beside its API server, done by the test: pods come and go, and get ready; the mesh takes routes.

import type { ApiServer } from "../api-server.ts";
import type { KubernetesObject } from "../objects.ts";

/** Hands in one namespace. */
export interface Hands {
  /** Deployments whose pods are not ready, by name. */
  readonly unready: Set<string>;
  stop(): Promise<void>;
}

const EVERY_MS = 100;

/** Works until it is stopped. */
export function startHands(api: ApiServer, namespace: string): Hands {
  const unready = new Set<string>();
  let stopped = false;
  const work = async () => {
    while (!stopped) {
      // The tool and these hands change the same objects; whoever comes late looks again.
      await serve(api, namespace, unready).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  };
  const working = work();
  return {
    unready,
    async stop() {
      stopped = true;
      await working;
    },
  };
}

type List = { readonly items: readonly KubernetesObject[] };

async function serve(api: ApiServer, namespace: string, unready: ReadonlySet<string>): Promise<void> {
  const deployments = await api.ask<List>({ path: `/apis/apps/v1/namespaces/${namespace}/deployments` });
  const pods = await api.ask<List>({ path: `/api/v1/namespaces/${namespace}/pods` });
  for (const deployment of deployments.items)
    await serveDeployment({ api, namespace, unready }, deployment, pods.items);
  const kept = new Set(deployments.items.map(({ metadata }) => metadata.name));
  for (const { metadata } of pods.items)
    if (!kept.has(metadata.labels?.owner ?? "")) await removePod(api, namespace, metadata.name);
  for (const plural of ["grpcroutes", "httproutes"]) await acceptRoutes(api, namespace, plural);
}

interface Place {
  readonly api: ApiServer;
  readonly namespace: string;
  readonly unready: ReadonlySet<string>;
}

async function serveDeployment(
  { api, namespace, unready }: Place,
  deployment: KubernetesObject,
  pods: readonly KubernetesObject[],
) {
  const { name, generation } = deployment.metadata;
  const own = pods.filter(({ metadata }) => metadata.labels?.owner === name);
  const wanted: number = deployment.spec.replicas;
  for (const extra of own.slice(wanted)) await removePod(api, namespace, extra.metadata.name);
  for (let index = own.length; index < wanted; index += 1) await addPod(api, namespace, deployment);
  const isReady = !unready.has(name);
  for (const pod of own.slice(0, wanted)) await setReady(api, pod, isReady);
  const ready = isReady ? Math.min(own.length, wanted) : 0;
  const status = {
    observedGeneration: generation,
    replicas: own.length,
    updatedReplicas: own.length,
    readyReplicas: ready,
    availableReplicas: ready,
  };
  await setStatus(api, `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`, status);
}

async function addPod(api: ApiServer, namespace: string, { metadata, spec }: KubernetesObject) {
  const labels = { ...spec.template.metadata.labels, owner: metadata.name };
  const body = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { generateName: `${metadata.name}-`, labels },
    spec: spec.template.spec,
  };
  await api.ask({ verb: "POST", path: `/api/v1/namespaces/${namespace}/pods`, body });
}

const removePod = (api: ApiServer, namespace: string, name: string) =>
  api.ask({ verb: "DELETE", path: `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0` });

async function setReady(api: ApiServer, { metadata, status }: KubernetesObject, isReady: boolean) {
  const is = isReady ? "True" : "False";
  const before = status?.conditions?.find(({ type }: { type: string }) => type === "Ready")?.status;
  if (before === is) return;
  const conditions = [{ type: "Ready", status: is, lastTransitionTime: new Date().toISOString() }];
  await setStatus(api, `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`, {
    phase: "Running",
    conditions,
  });
}

async function acceptRoutes(api: ApiServer, namespace: string, plural: string) {
  const path = `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/${plural}`;
  for (const { metadata, spec, status } of (await api.ask<List>({ path })).items) {
    const { generation: observedGeneration } = metadata;
    if (status?.parents?.[0]?.conditions?.[0]?.observedGeneration === observedGeneration) continue;
    const accepted = {
      type: "Accepted",
      status: "True",
      reason: "Accepted",
      message: "",
      lastTransitionTime: new Date().toISOString(),
    };
    const parents = [
      {
        parentRef: spec.parentRefs[0],
        controllerName: "souk.dev/hands",
        conditions: [{ ...accepted, observedGeneration }],
      },
    ];
    await setStatus(api, `${path}/${metadata.name}`, { parents });
  }
}

const setStatus = (api: ApiServer, path: string, status: object) =>
  api.ask({
    verb: "PATCH",
    path: `${path}/status`,
    body: { status },
    contentType: "application/merge-patch+json",
  });
