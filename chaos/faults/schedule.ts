// What goes wrong when: a pure function of seed, length and variant, so that a run can be had again.

import { createRandom, type Random } from "../random.ts";
import { drawFault, drawFirstClocks, type Targets } from "./draw.ts";
import { type FaultKind, faultKinds, type PlannedFault } from "./fault.ts";

/** How faults are spread over a run. */
export const variants = ["random", "swizzle", "rolling", "quiet"] as const;
/** What kind of trouble a run is about; the README tells them apart. */
export type Variant = (typeof variants)[number];

/** What a schedule is made from. */
export interface ScheduleOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly variant: Variant;
  /** Services of which two replicas run. */
  readonly services: readonly string[];
  readonly links: readonly string[];
  readonly troubles?: Targets["troubles"];
  /** How often each kind happens per ten minutes; {@link usualCounts} where unset. */
  readonly counts?: Counts;
}

/** Faults of each kind per ten minutes; kinds that are not named do not happen. */
export type Counts = Readonly<Partial<Record<FaultKind, number>>>;

/** Above what a run has to reach, since some faults find their victim down already. */
export const usualCounts: Counts = {
  "kill-service": 104,
  "freeze-service": 12,
  "kill-broker": 13,
  "crash-postgres": 13,
  "terminate-backends": 90,
  "flush-redis": 14,
  "kill-redis": 5,
  "trouble-link": 60,
  "reset-link": 60,
  "repeat-events": 60,
  "refuse-writes": 15,
  "shift-clock": 20,
  "late-command": 40,
};

/** Draws the faults of a run, earliest first. */
export function planFaults(options: ScheduleOptions): PlannedFault[] {
  const random = createRandom(options.seed, "faults");
  if (options.variant === "quiet") return [];
  if (options.variant === "rolling") return rollOnce(options);
  const windows = drawWindows(random, options.durationMs);
  const counts = options.counts ?? usualCounts;
  const drawn = faultKinds.flatMap((kind) => spread(random, options, kind, counts[kind] ?? 0, windows));
  const clocks = "shift-clock" in counts ? drawFirstClocks(random) : [];
  const swizzles =
    options.variant === "swizzle" ? windows.flatMap((one) => swizzle(random, options, one)) : [];
  return [...clocks, ...drawn, ...swizzles].sort((a, b) => a.atMs - b.atMs);
}

/** A time in which some kinds of fault happen; none in a quiet one. */
interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  readonly kinds: readonly FaultKind[];
}

const quietShare = 0.25;
/** Of the kinds, so many share a window: what only happens together, or only alone, should be met too. */
const kindShare = 0.55;

/** 5 to 20 s each; a quarter of the time nothing happens, so that recovery is seen as well. */
function drawWindows(random: Random, durationMs: number): Window[] {
  const windows: Window[] = [];
  let quietMs = 0;
  for (let fromMs = 0; fromMs < durationMs; ) {
    const lengthMs = Math.min(random.integer(5_000, 20_000), durationMs - fromMs);
    const quiet = quietMs + lengthMs <= (fromMs + lengthMs) * quietShare + 2_500;
    if (quiet) quietMs += lengthMs;
    const kinds = quiet ? [] : faultKinds.filter(() => random.chance(kindShare));
    windows.push({ fromMs, toMs: fromMs + lengthMs, kinds });
    fromMs += lengthMs;
  }
  return windows;
}

/** Places as many faults of a kind as the run's length asks for, at moments of the windows that have it. */
function spread(
  random: Random,
  options: ScheduleOptions,
  kind: FaultKind,
  perTenMinutes: number,
  windows: readonly Window[],
): PlannedFault[] {
  const count = Math.ceil((perTenMinutes * options.durationMs) / 600_000);
  const loud = windows.filter(({ kinds }) => kinds.length > 0);
  const having = loud.filter(({ kinds }) => kinds.includes(kind));
  const choices = having.length > 0 ? having : loud;
  if (choices.length === 0) return [];
  const totalMs = choices.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  return Array.from({ length: count }, (_, index) => {
    // One in each equal part: chance alone would now and then crowd a store's crashes into one window.
    const atMs = momentIn(choices, ((index + random.next()) / count) * totalMs);
    return { atMs: Math.round(atMs), fault: drawFault(random, kind, options) };
  });
}

function momentIn(windows: readonly Window[], intoMs: number): number {
  let leftMs = intoMs;
  for (const { fromMs, toMs } of windows) {
    if (leftMs < toMs - fromMs) return fromMs + leftMs;
    leftMs -= toMs - fromMs;
  }
  return windows.at(-1)?.toMs ?? 0;
}

/** Stops a random set of links one by one, and lets them go in another order: FoundationDB's best finder of faults. */
function swizzle(
  random: Random,
  { links }: ScheduleOptions,
  { fromMs, toMs, kinds }: Window,
): PlannedFault[] {
  if (kinds.length === 0) return [];
  const chosen = links.filter(() => random.chance(0.4));
  const stepMs = (toMs - fromMs) / (2 * Math.max(1, chosen.length));
  const released = random.shuffle(chosen);
  return chosen.map((link, index) => {
    const atMs = Math.round(fromMs + index * stepMs);
    const untilMs = (fromMs + toMs) / 2 + released.indexOf(link) * stepMs;
    const forMs = Math.round(untilMs - atMs);
    return { atMs, fault: { kind: "trouble-link", link, trouble: { kind: "stalled" }, forMs } };
  });
}

/** Each replica in turn, one at a time; the executor waits for each to be back before the next. */
function rollOnce({ services }: ScheduleOptions): PlannedFault[] {
  const replicas = services.flatMap((service) => [1, 2].map((replica) => ({ service, replica })));
  return replicas.map(({ service, replica }, index) => ({
    atMs: 3_000 + index,
    fault: { kind: "restart-service", service, replica },
  }));
}
