// Drives one rollout to its end: looks, decides, tells the cluster, every second.

import type { Cluster } from "./cluster.ts";
import { announce } from "./cluster.ts";
import { abort, advance, hasEnded, type Observation, type Rollout, wantedOf } from "./course.ts";
import { LEASE_S, type RolloutLease, type RolloutRecord, Taken } from "./record.ts";
import type { Routes } from "./routes.ts";
import type { Scrape } from "./scrape.ts";
import { observe, type Teller } from "./tracks.ts";
import { createWindows, type Windows } from "./windows.ts";

/** What a run has in its hands. */
export interface Run {
  readonly cluster: Cluster;
  readonly lease: RolloutLease;
  readonly record: RolloutRecord;
  readonly routes: Routes;
  readonly tell: Teller;
  /** Undefined where nothing is judged: the rest of a promotion. */
  readonly scrape: Scrape | undefined;
  /** Told what happens, for people. */
  readonly say: (text: string) => void;
  /** Aborts when this process is to end; the rollout waits for another run then. */
  readonly signal: AbortSignal;
}

const TICK_MS = 1_000;
const RENEW_MS = 3_000;

/**
 * Drives until the rollout has ended, or the signal aborts. Failures of the API server are waited out, for as long as the lease is this
 * run's. @throws Taken where another run has taken over.
 */
export async function drive(run: Run, begun: Rollout): Promise<Rollout> {
  const windows = createWindows(run.cluster, begun.service, run.scrape);
  let rollout = begun;
  let renewedAtMs = Date.now();
  while (!run.signal.aborted) {
    const startedAtMs = Date.now();
    try {
      // A decision that cannot be remembered is not made, so that whoever takes over never knows less than the cluster.
      if (startedAtMs - renewedAtMs >= RENEW_MS) {
        await run.lease.renew();
        renewedAtMs = Date.now();
      }
      rollout = await tick(run, rollout, windows);
      if (hasEnded(rollout)) return rollout;
    } catch (error) {
      if (error instanceof Taken) throw error;
      run.say(`cannot go on: ${(error as Error).message}`);
      if (Date.now() - renewedAtMs > LEASE_S * 1_000) renewedAtMs = 0;
    }
    await pause(TICK_MS - (Date.now() - startedAtMs), run.signal);
  }
  return rollout;
}

async function tick(run: Run, rollout: Rollout, windows: Windows): Promise<Rollout> {
  const seen = await observe(run.cluster, rollout, await run.routes.weight());
  // Before anything else: calls to pods that are not there fail now.
  const safe = wantedOf(rollout, seen);
  if (safe.weight < seen.weight) await run.routes.set(safe.weight);
  const window = await windows.next(rollout, seen);
  const next = advance(rollout, { ...seen, ...(window && { window }) });
  await carryOut(run, { before: rollout, next, seen });
  return next;
}

interface Move {
  readonly before: Rollout;
  readonly next: Rollout;
  readonly seen: Observation;
}

async function carryOut(run: Run, { before, next, seen }: Move): Promise<void> {
  const wanted = wantedOf(next, seen);
  const isSet = seen.weight === wanted.weight && before.phase === next.phase;
  // Towards the canary only what is remembered; away from it at once.
  if (!isSet && wanted.weight <= seen.weight) await run.routes.set(wanted.weight);
  await run.record.write(next);
  if (wanted.weight > seen.weight) await run.routes.set(wanted.weight);
  await run.tell(next, wanted);
  if (hasEnded(next)) await run.record.write({ ...next, closed: true });
  await report(run, before, next, seen.weight === wanted.weight ? undefined : wanted.weight);
}

async function report(run: Run, before: Rollout, next: Rollout, weight: number | undefined): Promise<void> {
  if (weight !== undefined) run.say(`${weight} % of the calls`);
  if (next.phase !== before.phase) {
    run.say(`${next.phase}: ${next.reason}`);
    const type = next.phase === "aborted" ? "Warning" : "Normal";
    const reason = `Canary${next.phase.charAt(0).toUpperCase()}${next.phase.slice(1)}`;
    await announce(run.cluster, next.service, { type, reason, message: `${next.image}: ${next.reason}` });
  } else if (next.reason !== before.reason) run.say(next.reason);
}

/** Ends a rollout now: the canary gets no call from here on, whatever else can still be done. */
export async function abortNow(run: Run, rollout: Rollout, reason: string): Promise<Rollout> {
  await run.routes.set(0);
  const next = abort(rollout, reason, Date.now());
  await carryOut(run, { before: rollout, next, seen: await observe(run.cluster, rollout, 0) });
  return next;
}

/** Does what is left of a rollout that has ended, where whoever ended it did not come to it. */
export async function finish(run: Run, rollout: Rollout): Promise<void> {
  if (rollout.closed) return;
  await run.routes.set(0);
  await carryOut(run, { before: rollout, next: rollout, seen: await observe(run.cluster, rollout, 0) });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
