// What is remembered of a rollout, and who drives it: a ConfigMap and a Lease in the cluster, so that any run can take over.

import { type Cluster, CONFIG_MAPS, create, find, LEASES, list, replace } from "./cluster.ts";
import type { Rollout } from "./course.ts";
import { CANARY_LABEL, type KubernetesObject, RUN_ANNOTATION } from "./objects.ts";

const nameOf = (service: string) => `canary-${service}`;

/** For how long a run may be silent before others take its rollout over. */
export const LEASE_S = 15;

/** Writes a rollout as text; the last bound of a histogram is no number of JSON. */
export const writeRollout = (rollout: Rollout): string =>
  JSON.stringify(rollout, (_key, value) => (value === Number.POSITIVE_INFINITY ? "+Inf" : value));

/** Reads a rollout as it was written. */
export const readRollout = (text: string): Rollout =>
  JSON.parse(text, (_key, value) => (value === "+Inf" ? Number.POSITIVE_INFINITY : value)) as Rollout;

/** The rollout of a service that was begun last, ended or not. */
export async function findRollout(cluster: Cluster, service: string): Promise<Rollout | undefined> {
  return fromObject(await find(cluster, CONFIG_MAPS, nameOf(service)));
}

/** All rollouts of the namespace. */
export async function listRollouts(cluster: Cluster): Promise<Rollout[]> {
  const objects = await list(cluster, CONFIG_MAPS, CANARY_LABEL);
  return objects.flatMap((object) => fromObject(object) ?? []);
}

function fromObject(object: KubernetesObject | undefined): Rollout | undefined {
  const text = object?.data?.rollout;
  return text === undefined ? undefined : readRollout(text);
}

/** The record of a rollout, held by one run: what another has written meanwhile is not overwritten. */
export interface RolloutRecord {
  /** @throws Taken where another run has written since. */
  write(rollout: Rollout): Promise<void>;
}

/** Another run drives this rollout now. */
export class Taken extends Error {
  override readonly name = "Taken";
}

/**
 * Opens the record for the run that holds the lease, and writes its name on it: what the run before has on its way to be written comes too
 * late then. The last rollout is kept beside the next, as `previous`.
 */
export async function openRecord(cluster: Cluster, service: string, run: string): Promise<RolloutRecord> {
  let known = await claimRecord(cluster, service, run);
  return {
    async write(rollout) {
      const { rollout: last, previous: before } = known?.data ?? {};
      const text = writeRollout(rollout);
      if (text === last) return;
      const isAnother = last !== undefined && readRollout(last).startedAtMs !== rollout.startedAtMs;
      const previous = isAnother ? last : before;
      const data = { rollout: text, ...(previous === undefined ? {} : { previous }) };
      const object: KubernetesObject = {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: metadataOf(cluster, service, { run, known }),
        data,
      };
      const written = await (known ? replace : create)(cluster, CONFIG_MAPS, object);
      if (!written) throw taken(service);
      known = written;
    },
  };
}

const taken = (service: string) => new Taken(`another run drives the canary of ${service} now`);

const CLAIMS = 5;

async function claimRecord(
  cluster: Cluster,
  service: string,
  run: string,
): Promise<KubernetesObject | undefined> {
  for (let attempt = 1; attempt <= CLAIMS; attempt += 1) {
    const known = await find(cluster, CONFIG_MAPS, nameOf(service));
    if (!known) return undefined;
    const metadata = metadataOf(cluster, service, { run, known });
    const claimed = await replace(cluster, CONFIG_MAPS, {
      ...known,
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata,
    });
    if (claimed) return claimed;
  }
  throw taken(service);
}

function metadataOf(
  { namespace }: Cluster,
  service: string,
  { run, known }: { run: string; known: KubernetesObject | undefined },
) {
  const { resourceVersion } = known?.metadata ?? {};
  return {
    name: nameOf(service),
    namespace,
    labels: { [CANARY_LABEL]: service },
    annotations: { [RUN_ANNOTATION]: run },
    ...(resourceVersion && { resourceVersion }),
  };
}

/** Who drives a rollout. */
export interface Holder {
  readonly run: string;
  readonly renewedAtMs: number;
}

/** Who drives the rollout of a service, if anybody does. */
export async function findHolder(cluster: Cluster, service: string): Promise<Holder | undefined> {
  return holderOf(await find(cluster, LEASES, nameOf(service)));
}

function holderOf(lease: KubernetesObject | undefined): Holder | undefined {
  const { holderIdentity: run, renewTime } = lease?.spec ?? {};
  return run ? { run, renewedAtMs: Date.parse(renewTime) || 0 } : undefined;
}

/** Whether a holder has been silent for too long, by the clock of who asks. */
export const isSilent = ({ renewedAtMs }: Holder, nowMs: number) => nowMs - renewedAtMs > LEASE_S * 1_000;

/** The lease of one run. */
export interface RolloutLease {
  readonly run: string;
  /** Says that the run lives. @throws Taken where another has it. */
  renew(): Promise<void>;
  release(): Promise<void>;
}

const RENEWS_WITHIN_MS = 4_000;

/** Clocks differ: a holder that seems dead by its times may be alive, and renews. */
async function renewsMeanwhile(cluster: Cluster, service: string, { renewedAtMs }: Holder): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, RENEWS_WITHIN_MS));
  return (await findHolder(cluster, service))?.renewedAtMs !== renewedAtMs;
}

/**
 * Takes the lease: a free one, one whose holder is silent, or, with `force`, any.
 * @throws Taken where another run lives.
 */
export async function takeLease(
  cluster: Cluster,
  service: string,
  run: string,
  force: boolean,
): Promise<RolloutLease> {
  let known = await find(cluster, LEASES, nameOf(service));
  const holder = holderOf(known);
  if (holder && !force) {
    const isDead = isSilent(holder, Date.now()) && !(await renewsMeanwhile(cluster, service, holder));
    if (!isDead) throw new Taken(`${holder.run} drives the canary of ${service}`);
    known = await find(cluster, LEASES, nameOf(service));
  }
  const put = async (holderIdentity: string) => {
    const now = new Date().toISOString().replace("Z", "000Z");
    const object: KubernetesObject = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: nameOf(service),
        namespace: cluster.namespace,
        labels: { [CANARY_LABEL]: service },
        ...(known?.metadata.resourceVersion && { resourceVersion: known.metadata.resourceVersion }),
      },
      spec: {
        holderIdentity,
        leaseDurationSeconds: LEASE_S,
        renewTime: now,
        acquireTime: known?.spec?.acquireTime ?? now,
      },
    };
    const written = await (known ? replace : create)(cluster, LEASES, object);
    if (!written) throw new Taken(`another run drives the canary of ${service} now`);
    known = written;
  };
  await put(run);
  return { run, renew: () => put(run), release: () => put("") };
}
