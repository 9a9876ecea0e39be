import { setTimeout as delay } from "node:timers/promises";
import { describeExit, type Exit } from "../stores/launched-process.ts";

/** Something that runs until it ends and can then be started again: a store or a launched process. */
export type Startable = {
  readonly name: string;
  readonly exited: Promise<Exit>;
  /** Resolves once it serves; rejects where it ends before, or the signal aborts. */
  start(signal: AbortSignal): Promise<void>;
};

/** How often and how soon something that crashed is started again. */
export type RestartPolicy = {
  /** Crashes within `windowMs` after which it is given up. */
  maxCrashes: number;
  windowMs: number;
  /** The wait after the first crash of a window; it doubles with each, up to `maxDelayMs`. */
  firstDelayMs: number;
  maxDelayMs: number;
};

/** Five crashes a minute are bad luck, six are a defect: somebody has to look. */
export const RESTART_POLICY: RestartPolicy = {
  maxCrashes: 5,
  windowMs: 60_000,
  firstDelayMs: 250,
  maxDelayMs: 4000,
};

/** What happens to something that is kept running. */
export type KeepEvents = {
  onServing(): void;
  /** It crashed, and starts again after a wait. */
  onCrash(what: string, delayMs: number): void;
  /** It crashed too often, and stays down. */
  onGivenUp(what: string): void;
};

/** Starts something, and again whenever it ends, until the signal aborts or it has crashed too often. */
export async function keepRunning(
  startable: Startable,
  events: KeepEvents,
  signal: AbortSignal,
  policy: RestartPolicy = RESTART_POLICY,
): Promise<void> {
  const crashes: number[] = [];
  while (!signal.aborted) {
    const what = await runOnce(startable, events, signal);
    if (signal.aborted) return;
    const now = performance.now();
    crashes.push(now);
    while ((crashes[0] ?? now) < now - policy.windowMs) crashes.shift();
    if (crashes.length > policy.maxCrashes) return events.onGivenUp(what);
    const delayMs = Math.min(policy.firstDelayMs * 2 ** (crashes.length - 1), policy.maxDelayMs);
    events.onCrash(what, delayMs);
    await delay(delayMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Resolves to a sentence on how the run ended. */
async function runOnce(startable: Startable, events: KeepEvents, signal: AbortSignal): Promise<string> {
  try {
    await startable.start(signal);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  events.onServing();
  return `${startable.name} ended with ${describeExit(await startable.exited)}`;
}
