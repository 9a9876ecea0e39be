// What comes before a rollout: what has to be there, and what is made in which order.

import {
  type Cluster,
  create,
  DEPLOYMENTS,
  find,
  JOBS,
  podsOf,
  ROLLOUTS,
  remove,
  SERVICES,
} from "./cluster.ts";
import type { Rollout } from "./course.ts";
import type { Run } from "./drive.ts";
import type { KubernetesObject } from "./objects.ts";
import type { Policy } from "./policy.ts";
import { imageOf, isRolled, migrationJob, podFacts } from "./workload.ts";

/** What is begun. */
export interface Beginning {
  readonly service: string;
  readonly image: string;
  readonly policyName: string;
  readonly policy: Policy;
}

/**
 * Looks whether a canary of a service can begin.
 * @throws Error with what is missing and where it comes from.
 */
export async function checkGround(
  cluster: Cluster,
  service: string,
  image: string,
): Promise<KubernetesObject> {
  const stable = await find(cluster, DEPLOYMENTS, service);
  if (!stable) throw new Error(`there is no Deployment ${service} in the namespace ${cluster.namespace}`);
  for (const track of ["stable", "canary"])
    if (!(await find(cluster, SERVICES, `${service}-${track}`)))
      throw new Error(`there is no Service ${service}-${track}: apply an overlay with components/canary`);
  if (await find(cluster, ROLLOUTS, service))
    throw new Error(`Argo Rollouts drives ${service} here: use kubectl argo rollouts`);
  if (stable.spec.selector.matchLabels?.track !== "stable")
    throw new Error(
      `the Deployment ${service} does not select track: stable, so it would count a canary's pods as its own`,
    );
  if (imageOf(stable) === image) throw new Error(`the stable pods of ${service} run ${image} already`);
  if (!isRolled(stable)) throw new Error(`${service} is being rolled out: wait until its pods are ready`);
  return stable;
}

/** A rollout that begins now. */
export function newRollout(
  cluster: Cluster,
  { stableImage, ...asked }: Beginning & { stableImage: string },
): Rollout {
  const nowMs = Date.now();
  return {
    ...asked,
    stableImage,
    namespace: cluster.namespace,
    phase: "preparing",
    step: 0,
    startedAtMs: nowMs,
    phaseSinceMs: nowMs,
    slowWindows: 0,
    goodWindows: 0,
    reason: "the route is made",
    stableTouched: false,
    closed: false,
    windows: [],
  };
}

/** Times of another run are of another clock, and what it was counting was not counted on. */
export const takenOver = (rollout: Rollout): Rollout => ({
  ...rollout,
  phaseSinceMs: Date.now(),
  stepSinceMs: undefined,
  unreadySinceMs: undefined,
  silentSinceMs: undefined,
  slowWindows: 0,
  reason: "taken over",
});

const ROUTE_S = 30;
const PODS_GONE_S = 120;
const MIGRATION_S = 600;

/** The route first, so that no call meets the canary by chance; then its database's new columns; pods come last, by the course. */
export async function prepare(
  run: Run,
  stable: KubernetesObject,
  { service, image }: Rollout,
): Promise<void> {
  await run.routes.set(0);
  await waitFor(run, { what: "the mesh to take the route", timeoutS: ROUTE_S }, () => run.routes.accepted());
  await clearAway(run, service, image);
  const job = migrationJob(stable, image);
  if (!job) return;
  const { name } = job.metadata;
  if (await create(run.cluster, JOBS, job)) run.say(`migrates: job/${name}`);
  await waitFor(run, { what: `job/${name} to end`, timeoutS: MIGRATION_S }, async () => {
    const known = await find(run.cluster, JOBS, name);
    const { failed, complete } = endOf(known);
    if (failed) throw new Error(`job/${name} failed; kubectl -n ${run.cluster.namespace} logs job/${name}`);
    return complete;
  });
}

/** Pods of an earlier canary would be counted as this one's. */
async function clearAway(run: Run, service: string, image: string): Promise<void> {
  const name = `${service}-canary`;
  const known = await find(run.cluster, DEPLOYMENTS, name);
  if (known && imageOf(known) === image && !known.metadata.deletionTimestamp) return;
  if (known) await remove(run.cluster, DEPLOYMENTS, name);
  await waitFor(run, { what: "pods of an earlier canary to be gone", timeoutS: PODS_GONE_S }, async () => {
    const pods = (await podsOf(run.cluster, service)).map(podFacts);
    return pods.every(({ track }) => track === "stable");
  });
}

function endOf(job: KubernetesObject | undefined): { failed: boolean; complete: boolean } {
  const conditions: readonly { type: string; status: string }[] = job?.status?.conditions ?? [];
  const is = (type: string) => conditions.some((one) => one.type === type && one.status === "True");
  // One that is gone was cleared away after it had ended well; a failed one is kept as long, and seen before.
  return { failed: is("Failed"), complete: is("Complete") || job === undefined };
}

const LOOK_MS = 1_000;
const RENEW_EVERY = 3;

/** Waits while the lease is kept. @throws Error where it takes too long, or the run is to end. */
export async function waitFor(
  run: Run,
  { what, timeoutS }: { what: string; timeoutS: number },
  isSo: () => Promise<boolean>,
): Promise<void> {
  const endsAtMs = Date.now() + timeoutS * 1_000;
  for (let look = 1; !(await isSo()); look += 1) {
    run.signal.throwIfAborted();
    if (Date.now() > endsAtMs) throw new Error(`waited ${timeoutS} s for ${what}`);
    if (look % RENEW_EVERY === 0) await run.lease.renew();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
