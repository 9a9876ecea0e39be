// Both tracks of a service in the cluster: how they are, and what they are told.

import {
  AUTOSCALERS,
  apply,
  type Cluster,
  DEPLOYMENTS,
  find,
  list,
  patch,
  podsOf,
  type Resource,
  remove,
  SCALED_OBJECTS,
} from "./cluster.ts";
import type { Observation, Rollout, Wanted } from "./course.ts";
import type { KubernetesObject } from "./objects.ts";
import { APP, canaryDeployment, imageOf, isRolled, podFacts, troubleOf } from "./workload.ts";

/** How a rollout's pods are now. Rejects where the stable Deployment is gone. */
export async function observe(cluster: Cluster, { service }: Rollout, weight: number): Promise<Observation> {
  const [objects, stable, canary] = await Promise.all([
    podsOf(cluster, service),
    find(cluster, DEPLOYMENTS, service),
    find(cluster, DEPLOYMENTS, `${service}-canary`),
  ]);
  if (!stable) throw new Error(`there is no Deployment ${service}`);
  const pods = objects.map(podFacts).filter(({ track }) => track === "canary");
  const trouble = pods.find((pod) => pod.trouble)?.trouble ?? (canary && troubleOf(canary));
  return {
    nowMs: Date.now(),
    canary: {
      ready: pods.filter(({ ready }) => ready).length,
      restarts: pods.reduce((sum, { restarts }) => sum + restarts, 0),
      trouble,
    },
    stable: {
      replicas: Math.max(1, stable.spec.replicas ?? 1),
      rolled: isRolled(stable),
      trouble: troubleOf(stable),
    },
    weight,
  };
}

/** Tells a cluster what is wanted, but for the weight. */
export type Teller = (rollout: Rollout, wanted: Wanted) => Promise<void>;

/** What somebody else has undone is done again after so long. */
const TELL_AGAIN_MS = 10_000;

/** A teller that says nothing twice, until it is time to say it again. */
export function createTeller(cluster: Cluster): Teller {
  let last = { text: "", atMs: 0 };
  return async (rollout, wanted) => {
    const text = JSON.stringify([rollout.phase, { ...wanted, weight: undefined }]);
    if (text === last.text && Date.now() - last.atMs < TELL_AGAIN_MS) return;
    await tell(cluster, rollout, wanted);
    last = { text, atMs: Date.now() };
  };
}

async function tell(cluster: Cluster, rollout: Rollout, wanted: Wanted): Promise<void> {
  const stable = await find(cluster, DEPLOYMENTS, rollout.service);
  if (!stable) throw new Error(`there is no Deployment ${rollout.service}`);
  await holdAutoscaler(cluster, rollout.service, wanted.autoscalerHeld);
  if (rollout.stableTouched && imageOf(stable) !== wanted.stableImage)
    await setImage(cluster, stable, wanted.stableImage);
  if (wanted.canaryPods !== undefined && rollout.phase !== "settling")
    await scaleCanary(cluster, stable, { image: rollout.image, replicas: wanted.canaryPods });
  if (rollout.phase === "promoted") await remove(cluster, DEPLOYMENTS, `${rollout.service}-canary`);
}

/** Refused where the Deployment has changed since it was read: a run that stood still meanwhile may not have its way. */
async function setImage(cluster: Cluster, { metadata }: KubernetesObject, image: string): Promise<void> {
  const { name, resourceVersion } = metadata;
  const body = {
    metadata: { resourceVersion },
    spec: { template: { spec: { containers: [{ name: APP, image }] } } },
  };
  await patch(cluster, { resource: DEPLOYMENTS, name, kind: "strategic-merge" }, body);
}

async function scaleCanary(
  cluster: Cluster,
  stable: KubernetesObject,
  { image, replicas }: { image: string; replicas: number },
): Promise<void> {
  const name = `${stable.metadata.name}-canary`;
  const known = await find(cluster, DEPLOYMENTS, name);
  if (!known) await apply(cluster, DEPLOYMENTS, canaryDeployment(stable, image, replicas));
  else if (known.spec.replicas !== replicas)
    await patch(cluster, { resource: DEPLOYMENTS, name }, { spec: { replicas } });
}

/** Where an autoscaler remembers what it was told before it was held. */
const HELD = "souk.dev/canary-held";
const PAUSED = "autoscaling.keda.sh/paused-scale-in";

/**
 * While a canary answers, the stable pods have less to do; were they taken away for that, an abort would bury the rest. So their
 * autoscaler may add pods meanwhile, and take none away.
 */
async function holdAutoscaler(cluster: Cluster, service: string, held: boolean): Promise<void> {
  for (const scaler of await list(cluster, AUTOSCALERS)) {
    const { kind, name } = scaler.spec.scaleTargetRef;
    if (kind !== "Deployment" || name !== service) continue;
    const owner = scaler.metadata.ownerReferences?.find((one) => one.kind === "ScaledObject");
    if (owner) await holdScaledObject(cluster, owner.name, held);
    else await holdScaler(cluster, scaler, held);
  }
}

async function holdScaler(
  cluster: Cluster,
  { metadata, spec }: KubernetesObject,
  held: boolean,
): Promise<void> {
  const before = metadata.annotations?.[HELD];
  if (held === (before !== undefined)) return;
  const selectPolicy = held ? "Disabled" : before === "" ? null : before;
  const annotations = { [HELD]: held ? (spec.behavior?.scaleDown?.selectPolicy ?? "") : null };
  await patchScaler(cluster, AUTOSCALERS, metadata.name, {
    metadata: { annotations },
    spec: { behavior: { scaleDown: { selectPolicy } } },
  });
}

async function holdScaledObject(cluster: Cluster, name: string, held: boolean): Promise<void> {
  const known = await find(cluster, SCALED_OBJECTS, name);
  const before = known?.metadata.annotations?.[HELD];
  if (!known || held === (before !== undefined)) return;
  const paused = held ? "true" : before === "" ? null : before;
  const annotations = {
    [HELD]: held ? (known.metadata.annotations?.[PAUSED] ?? "") : null,
    [PAUSED]: paused,
  };
  await patchScaler(cluster, SCALED_OBJECTS, name, { metadata: { annotations } });
}

const patchScaler = (cluster: Cluster, resource: Resource, name: string, body: object) =>
  patch(cluster, { resource, name }, body);
