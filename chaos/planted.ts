// What shows each planted bug soonest: which faults, how many, and which invariant has to break.

import { type PlantedBug, plantedBugs } from "#kit/failpoints/planted.ts";
import type { Targets } from "./faults/draw.ts";
import type { Counts } from "./faults/schedule.ts";
import { LINK_NAMES, REPLICATED } from "./shop/ports.ts";

/** How a planted bug is looked for. */
export interface Search {
  readonly seconds: number;
  readonly ordersPerSecond: number;
  readonly counts: Counts;
  readonly services: readonly string[];
  readonly links: readonly string[];
  readonly troubles?: Targets["troubles"];
  /** One of these has to break; others may. */
  readonly invariants: readonly string[];
}

const usual = { seconds: 25, ordersPerSecond: 12, counts: {}, services: REPLICATED, links: LINK_NAMES };

const searches: Readonly<Record<PlantedBug, Search>> = {
  "ack-before-commit": {
    ...usual,
    counts: { "crash-postgres": 100, "terminate-backends": 1_000 },
    invariants: ["effects-once", "stock-adds-up"],
  },
  // The clients' own repetitions are enough: each is rolled back when its key is found to have an answer.
  "publish-before-commit": { ...usual, invariants: ["outbox-in-stream"] },
  "no-inbox": { ...usual, counts: { "repeat-events": 400 }, invariants: ["effects-once"] },
  "naive-cursor": {
    ...usual,
    ordersPerSecond: 20,
    counts: { "trouble-link": 800 },
    troubles: ["slow"],
    links: LINK_NAMES.filter((name) => name.startsWith("postgres:")),
    invariants: ["outbox-in-stream"],
  },
  "saga-timers-in-memory": {
    ...usual,
    counts: { "kill-service": 120 },
    services: ["orders"],
    invariants: ["sagas-end", "accepted-orders-end"],
  },
  "charge-without-key": {
    ...usual,
    // The processor's answer takes so long that whoever dies has mostly asked already.
    counts: { "trouble-link": 400, "kill-service": 240 },
    services: ["payments"],
    links: ["card-processor"],
    troubles: ["slow"],
    invariants: ["money-moves-once"],
  },
  "release-without-tombstone": {
    ...usual,
    counts: { "late-command": 400 },
    invariants: ["stock-adds-up"],
  },
  "nak-without-delay": {
    ...usual,
    counts: { "trouble-link": 150 },
    links: ["postgres:witness"],
    troubles: ["refusing"],
    invariants: ["retries-are-paced", "no-dead-letters"],
  },
  "retry-on-declined": { ...usual, invariants: ["money-moves-once"] },
  "cached-stock": { ...usual, invariants: ["stock-adds-up"] },
  "swallowed-commit-error": {
    ...usual,
    counts: { "crash-postgres": 60, "terminate-backends": 600 },
    invariants: ["accepted-orders-end", "one-key-one-order"],
  },
};

/** How a bug is looked for; throws, with the names, for one that is not planted. */
export function searchFor(name: string): Search {
  const bug = plantedBugs.find((known) => known === name);
  if (!bug) throw new Error(`--planted is one of ${plantedBugs.join(", ")}`);
  return searches[bug];
}
