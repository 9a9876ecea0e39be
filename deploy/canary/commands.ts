// The commands of `npm run souk -- canary`, for this machine's user: the cluster that kubectl would ask.

import type { JsonObject } from "@bufbuild/protobuf";
import { type ApiServer, connectAsPerson } from "./api-server.ts";
import { type Cluster, find, GRPC_ROUTES, HTTP_ROUTES } from "./cluster.ts";
import { hasEnded, type Rollout } from "./course.ts";
import { keep } from "./keeper.ts";
import { readPolicy } from "./policy-file.ts";
import { createPrometheusScrape } from "./prometheus.ts";
import { findHolder, findRollout, type Holder, isSilent, listRollouts } from "./record.ts";
import { weightOf } from "./route.ts";
import { abortByHand, type Place, promoteNow, start } from "./runs.ts";

/** Which service is meant, and where. */
export interface Asked {
  readonly service: string;
  readonly namespace: string;
}

/** A rollout as people read it. */
export interface Shown {
  readonly rollout: Rollout;
  readonly facts: Readonly<Record<string, string | number>>;
  /** For scripts. */
  readonly entry: JsonObject;
}

/** A canary, as it is asked for. */
export interface AskedCanary extends Asked {
  readonly image: string;
  readonly policy: string;
  /** The address of a Prometheus that is asked for pods' metrics; the pods are where unset. */
  readonly prometheus: string | undefined;
}

/** Begins or goes on, and drives to the end. */
export const startCanary = ({ image, policy: policyName, prometheus, ...asked }: AskedCanary) => {
  const policy = readPolicy(policyName);
  const source = prometheus === undefined ? {} : { scrape: createPrometheusScrape(prometheus) };
  return inCluster(asked, (place) =>
    start({ ...place, ...source }, { service: asked.service, image, policyName, policy }),
  );
};

/** Promotes at once, and drives to the end. */
export const promoteCanary = (asked: Asked) => inCluster(asked, (place) => promoteNow(place, asked.service));

/** Aborts. */
export const abortCanary = ({ why, ...asked }: Asked & { why: string }) =>
  inCluster(asked, (place) => abortByHand(place, asked.service, why));

/** Watches over all rollouts of a namespace until it is stopped. */
export const keepCanaries = (asked: { readonly namespace: string }) => connected(asked, keep);

/** All rollouts, or that of one service. */
export async function canaryStatus({
  namespace,
  service,
}: {
  namespace: string;
  service: string | undefined;
}): Promise<Shown[]> {
  const api = await connectAsPerson();
  try {
    const cluster: Cluster = { api, namespace };
    const one = service === undefined ? undefined : await findRollout(cluster, service);
    const rollouts = service === undefined ? await listRollouts(cluster) : one ? [one] : [];
    return await Promise.all(rollouts.map((rollout) => show(cluster, rollout)));
  } finally {
    api.close();
  }
}

const inCluster = (asked: Asked, work: (place: Place) => Promise<Rollout>): Promise<Shown> =>
  connected(asked, async (place) => show(place, await work(place)));

async function connected<Answer>(
  { namespace }: { readonly namespace: string },
  work: (place: Place) => Promise<Answer>,
): Promise<Answer> {
  const api: ApiServer = await connectAsPerson();
  const stopping = new AbortController();
  const stop = () =>
    stopping.abort(
      new Error("stopped: the calls are the stable pods' again; canary start goes on, canary abort ends it"),
    );
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  try {
    const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
    return await work({ api, namespace, say, signal: stopping.signal });
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, stop);
    api.close();
  }
}

async function show(cluster: Cluster, rollout: Rollout): Promise<Shown> {
  const { service } = rollout;
  const [holder, grpc, http] = await Promise.all([
    findHolder(cluster, service),
    find(cluster, GRPC_ROUTES, service),
    find(cluster, HTTP_ROUTES, service),
  ]);
  const route = grpc ?? http;
  const weight = route && weightOf(route);
  const { baseline: _baseline, ...told } = rollout;
  const entry = { ...told, holder: holder?.run ?? null, weight: weight ?? null } as unknown as JsonObject;
  return { rollout, entry, facts: factsOf(rollout, holder, weight) };
}

function factsOf(rollout: Rollout, holder: Holder | undefined, weight: number | undefined): Shown["facts"] {
  const { service, image, stableImage, phase, policy, policyName, step, reason, windows } = rollout;
  const last = windows.at(-1);
  return {
    Service: service,
    Phase: phase,
    Reason: reason,
    "Calls to the canary": weight === undefined ? "no route" : `${Math.round(weight)} %`,
    Step: hasEnded(rollout) ? "" : `${step + 1} of ${policy.steps.length} (${policyName})`,
    Canary: image,
    "Before it": stableImage,
    "Driven by": hasEnded(rollout) ? "" : drivenBy(holder),
    "Last window": last
      ? `${last.verdict}: ${last.canaryFaults} of ${last.canaryCalls} calls failed, ${last.stableFaults} of ${last.stableCalls} of the stable pods'`
      : "",
    Begun: new Date(rollout.startedAtMs).toISOString(),
    [hasEnded(rollout) ? "Ended" : "Since"]: new Date(rollout.phaseSinceMs).toISOString(),
  };
}

function drivenBy(holder: Holder | undefined): string {
  if (!holder) return "nobody: canary start goes on";
  return isSilent(holder, Date.now()) ? `${holder.run}, which is silent: canary start goes on` : holder.run;
}
