import type { LinkTrouble } from "../links/link.ts";
import type { Random } from "../random.ts";
import type { Fault, FaultKind, PlannedFault } from "./fault.ts";

/** Whom faults can hit. */
export interface Targets {
  readonly services: readonly string[];
  readonly links: readonly string[];
  /** What can be wrong with a link; a mixture where unset. */
  readonly troubles?: readonly LinkTrouble["kind"][] | undefined;
}

/** Draws one fault of a kind. */
export function drawFault(random: Random, kind: FaultKind, targets: Targets): Fault {
  const downMs = random.integer(200, 2_000);
  const replica = () => ({ service: random.pick(targets.services), replica: random.integer(1, 2) });
  switch (kind) {
    case "kill-service":
    case "restart-service":
      return { kind, ...replica() };
    case "freeze-service":
      return { kind, ...replica(), forMs: drawFreezeMs(random) };
    case "kill-broker":
    case "kill-redis":
      return { kind, downMs };
    case "crash-postgres":
      return { kind, how: random.pick(["immediate", "kill"]), downMs };
    case "terminate-backends":
      return { kind, count: random.integer(3, 8) };
    case "flush-redis":
      return { kind };
    case "trouble-link":
      return {
        kind,
        link: random.pick(targets.links),
        trouble: drawTrouble(random, targets.troubles),
        forMs: random.integer(1_000, 8_000),
      };
    case "reset-link":
      return { kind, link: random.pick(targets.links) };
    case "repeat-events":
      return { kind, count: random.integer(20, 60), age: random.pick(["new", "new", "old"]) };
    case "shift-clock":
      return { kind, service: random.pick(clocks), ms: drawShiftMs(random) };
    case "refuse-writes":
      return {
        kind,
        service: random.pick(listeners.filter((one) => targets.services.includes(one))),
        forMs: random.integer(800, 2_500),
      };
    case "late-command":
      return { kind, service: random.pick(["inventory", "payments", "shipping"]) };
  }
}

/** Mostly a hiccup, now and then half a minute: longer than every deadline and lease. */
const drawFreezeMs = (random: Random) =>
  random.chance(0.2) ? random.integer(12_000, 30_000) : random.integer(1_000, 6_000);

/** Services that apply events. */
const listeners = ["catalog", "inventory", "orders", "witness"];

const usualTroubles = ["slow", "slow", "stalled", "refusing", "sliced", "unanswered"] as const;

function drawTrouble(random: Random, troubles: Targets["troubles"] = usualTroubles): LinkTrouble {
  const kind = random.pick(troubles);
  switch (kind) {
    case "slow":
      return { kind, minMs: random.integer(5, 50), maxMs: random.integer(60, 400) };
    case "sliced":
      return { kind, sliceBytes: random.integer(1, 64) };
    default:
      return { kind };
  }
}

const clocks = ["catalog", "inventory", "orders", "payments", "shipping"] as const;
const maxOffsetMs = 15 * 60_000;

/**
 * Forward, mostly: a timer in the table that a step back has put into the future stays there, which is right, and would only
 * make the run longer. Inventory's steps stay far below the 15 minutes a reservation lasts, as any real clock's do.
 */
const drawShiftMs = (random: Random) =>
  random.chance(0.2) ? -random.integer(100, 1_500) : random.integer(500, 20_000);

/** Where each database's clock stands at the beginning: up to a quarter of an hour early or late. */
export const drawFirstClocks = (random: Random): PlannedFault[] =>
  clocks.map((service) => ({
    atMs: 0,
    fault: { kind: "shift-clock", service, ms: random.integer(-maxOffsetMs, maxOffsetMs) },
  }));
