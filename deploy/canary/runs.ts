// What people ask of a canary: begin or go on, promote, abort, tell.

import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import type { ApiServer } from "./api-server.ts";
import { type Beginning, checkGround, newRollout, prepare, takenOver } from "./begin.ts";
import { type Cluster, DEPLOYMENTS, find } from "./cluster.ts";
import { hasEnded, promote, type Rollout } from "./course.ts";
import { abortNow, drive, finish, type Run } from "./drive.ts";
import { findRollout, openRecord, takeLease } from "./record.ts";
import { openRoutes } from "./routes.ts";
import { createScrape, type Scrape } from "./scrape.ts";
import { createTeller } from "./tracks.ts";
import { imageOf } from "./workload.ts";

/** Where and how a command works. */
export interface Place {
  readonly api: ApiServer;
  readonly namespace: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** How pods' metrics are read; by port forwarding where unset. */
  readonly scrape?: Scrape;
}

interface Opening {
  readonly service: string;
  /** Takes the rollout over from a run that lives. */
  readonly force: boolean;
  readonly judges: boolean;
}

/** Who drives: told to whoever finds the lease taken. */
const runName = () => `${userName()}@${hostname()}/${randomUUID().slice(0, 8)}`;

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A pod's user is a number without a name.
    return "pod";
  }
}

/** Opens a run of a service and works with it; the lease is given back at the end, however it comes. */
export async function withRun<Answer>(
  { api, namespace, say, signal, scrape }: Place,
  { service, force, judges }: Opening,
  work: (run: Run) => Promise<Answer>,
): Promise<Answer> {
  const cluster: Cluster = { api, namespace };
  const lease = await takeLease(cluster, service, runName(), force);
  try {
    const run: Run = {
      cluster,
      lease,
      record: await openRecord(cluster, service, lease.run),
      routes: await openRoutes(cluster, service, lease.run),
      tell: createTeller(cluster),
      scrape: judges ? (scrape ?? createScrape(api)) : undefined,
      say,
      signal,
    };
    return await work(run);
  } finally {
    await lease.release().catch(() => {});
  }
}

/** Begins a rollout, or goes on with one of the same image that nobody drives any more; ends when the rollout does. */
export async function start(place: Place, asked: Beginning): Promise<Rollout> {
  const { service, image } = asked;
  const cluster: Cluster = place;
  const known = await findRollout(cluster, service);
  const goesOn = known && !hasEnded(known) ? known : undefined;
  if (goesOn && goesOn.image !== image)
    throw new Error(`a canary of ${goesOn.image} has not ended; npm run -s souk -- canary abort ${service}`);
  const stable = goesOn
    ? await find(cluster, DEPLOYMENTS, service)
    : await checkGround(cluster, service, image);
  if (!stable) throw new Error(`there is no Deployment ${service} in the namespace ${cluster.namespace}`);
  return await withRun(place, { service, force: false, judges: true }, async (run) => {
    if (known && !goesOn) await finish(run, known);
    const rollout = goesOn
      ? takenOver(goesOn)
      : newRollout(cluster, { ...asked, stableImage: imageOf(stable) });
    // A promotion has pods and a route; all else is made sure of again.
    if (goesOn) run.say("taken over");
    if (!rollout.stableTouched) await prepare(run, stable, rollout);
    await run.record.write(rollout);
    return await driveOrStop(run, rollout);
  });
}

/** Watching is left out from here on: the stable pods become the canary's image. */
export async function promoteNow(place: Place, service: string): Promise<Rollout> {
  const rollout = await underWay(place, service);
  return await withRun(place, { service, force: true, judges: false }, async (run) => {
    const next = rollout.stableTouched
      ? takenOver(rollout)
      : promote(takenOver(rollout), Date.now(), "promoted by hand");
    await run.record.write(next);
    return await driveOrStop(run, next);
  });
}

/** Takes the calls from the canary and ends its rollout. */
export async function abortByHand(place: Place, service: string, why: string): Promise<Rollout> {
  const rollout = await underWay(place, service);
  return await withRun(place, { service, force: true, judges: false }, (run) => abortNow(run, rollout, why));
}

/** Goes on with what needs no judging: a promotion that was begun, an end that was not carried out. */
export async function goOn(place: Place, rollout: Rollout): Promise<void> {
  const { service } = rollout;
  await withRun(place, { service, force: false, judges: false }, async (run) => {
    if (hasEnded(rollout)) await finish(run, rollout);
    else await drive(run, takenOver(rollout));
  });
}

async function underWay(cluster: Cluster, service: string): Promise<Rollout> {
  const rollout = await findRollout(cluster, service);
  if (rollout && !hasEnded(rollout)) return rollout;
  throw new Error(
    `no canary of ${service} is under way${rollout ? `; the last was ${rollout.phase}: ${rollout.reason}` : ""}`,
  );
}

/** A run that is stopped leaves no canary with calls that nobody judges. */
async function driveOrStop(run: Run, rollout: Rollout): Promise<Rollout> {
  const last = await drive(run, rollout);
  if (!hasEnded(last) && !last.stableTouched) await run.routes.set(0);
  return last;
}
