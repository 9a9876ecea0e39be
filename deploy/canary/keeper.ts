// Watches over rollouts whose own run may be dead: no calls to a canary that cannot answer, or that nobody judges.

import { announce, type Cluster, DEPLOYMENTS, find, remove } from "./cluster.ts";
import { hasEnded, type Rollout, wantedOf } from "./course.ts";
import { findHolder, LEASE_S, listRollouts } from "./record.ts";
import { takeCallsAway } from "./routes.ts";
import { abortByHand, goOn, type Place } from "./runs.ts";
import { observe } from "./tracks.ts";

const TICK_MS = 1_000;

/** A canary without calls that nobody drives for so long is aborted. */
const ORPHAN_S = 600;

/** What is known of the run of one rollout, by this process's own clock: clocks of others may go otherwise. */
interface Pulse {
  readonly renewal: string;
  readonly sinceMs: number;
}

/**
 * Keeps until the signal aborts. Every second, for each rollout: calls are taken from a canary without ready pods, whoever drives it; where
 * nobody does, they are taken away too, and wait for the next `canary start`. A promotion is driven to its end, since it needs no
 * judging. Pods of an aborted canary go when their time is over.
 */
export async function keep(place: Place): Promise<void> {
  const pulses = new Map<string, Pulse>();
  const driven = new Map<string, Promise<void>>();
  const cluster: Cluster = place;
  while (!place.signal.aborted) {
    const rollouts = await listRollouts(cluster).catch((error: Error) => {
      place.say(`cannot look: ${error.message}`);
      return [];
    });
    for (const rollout of rollouts) {
      const { service } = rollout;
      if (driven.has(service)) continue;
      const work = await lookAfter(place, rollout, pulses).catch((error: Error) =>
        place.say(`${service}: ${error.message}`),
      );
      if (!work) continue;
      const failed = (error: Error) => place.say(`${service}: ${error.message}`);
      driven.set(
        service,
        work()
          .catch(failed)
          .finally(() => driven.delete(service)),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(driven.values());
}

/** Does what a second allows; what takes longer it gives back. */
async function lookAfter(
  place: Place,
  rollout: Rollout,
  pulses: Map<string, Pulse>,
): Promise<(() => Promise<void>) | undefined> {
  const { service, phase } = rollout;
  if (hasEnded(rollout) && rollout.closed) return await clearAway(place, rollout);
  const silentMs = await silenceOf(place, service, pulses);
  const isOrphan = silentMs > LEASE_S * 1_000;
  const seen = await observe(place, rollout, 100);
  const isUnanswered = wantedOf(rollout, seen).weight === 0;
  if ((isOrphan || isUnanswered) && (await takeCallsAway(place, service))) {
    const message = isUnanswered ? "no pod of the canary is ready" : "nobody drives the canary any more";
    place.say(`${service}: ${message}: its calls are the stable pods' again`);
    await announce(place, service, { type: "Warning", reason: "CanaryCallsTaken", message });
  }
  if (!isOrphan) return undefined;
  if (hasEnded(rollout) || phase === "promoting" || phase === "settling") return () => goOn(place, rollout);
  if (silentMs < ORPHAN_S * 1_000) return undefined;
  return async () => void (await abortByHand(place, service, `nobody drove it for ${ORPHAN_S} s`));
}

async function clearAway(
  place: Place,
  { service, phase, phaseSinceMs, policy }: Rollout,
): Promise<undefined> {
  if (phase !== "aborted" || Date.now() - phaseSinceMs < policy.evidenceS * 1_000) return;
  const name = `${service}-canary`;
  if (await find(place, DEPLOYMENTS, name)) await remove(place, DEPLOYMENTS, name);
}

/** For how long nothing was heard of the run that drives a rollout. */
async function silenceOf(cluster: Cluster, service: string, pulses: Map<string, Pulse>): Promise<number> {
  const holder = await findHolder(cluster, service);
  const renewal = `${holder?.run ?? ""} ${holder?.renewedAtMs ?? 0}`;
  const known = pulses.get(service);
  if (known?.renewal !== renewal) pulses.set(service, { renewal, sinceMs: Date.now() });
  return known?.renewal === renewal ? Date.now() - known.sinceMs : 0;
}
