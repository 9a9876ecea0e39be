// What shows each planted bug soonest: which faults, how many, and which invariant has to break.

import { type PlantedBug, plantedBugs } from "#kit/failpoints/planted.ts";
import type { Targets } from "./faults/draw.ts";
import type { Counts } from "./faults/schedule.ts";
import { LINK_NAMES, REPLICATED, WEBHOOKS } from "./shop/ports.ts";
import { type Regrets, usualRegrets } from "./workload/intention.ts";

/** How a planted bug is looked for. */
export interface Search {
  readonly seconds: number;
  readonly ordersPerSecond: number;
  readonly counts: Counts;
  readonly regrets: Regrets;
  readonly services: readonly string[];
  readonly links: readonly string[];
  readonly troubles?: Targets["troubles"];
  /** One of these has to break; others may. */
  readonly invariants: readonly string[];
}

const usual = {
  ...{ seconds: 20, ordersPerSecond: 12, regrets: usualRegrets },
  ...{ counts: {}, services: REPLICATED, links: LINK_NAMES },
};

/** The processor does what it is asked, and neither its answer nor its webhook tells of it. */
const chargedUnheard = {
  counts: { "trouble-link": 800 },
  links: ["card-processor", WEBHOOKS],
  troubles: ["unanswered", "refusing"],
} as const;

const searches: Readonly<Record<PlantedBug, Search>> = {
  "ack-before-commit": {
    ...usual,
    counts: { "refuse-writes": 150, "terminate-backends": 300 },
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
    ...chargedUnheard,
    invariants: ["money-moves-once"],
  },
  "refund-without-key": {
    ...usual,
    regrets: { refundShare: 0.9, returnShare: 0 },
    // Orders have to be paid before they can be paid back, so the processor answers now and then.
    counts: { "trouble-link": 90, "reset-link": 900 },
    links: ["card-processor"],
    troubles: ["unanswered"],
    invariants: ["money-moves-once"],
  },
  "release-without-tombstone": {
    ...usual,
    counts: { "late-command": 400 },
    invariants: ["stock-adds-up"],
  },
  "nak-without-delay": {
    ...usual,
    counts: { "refuse-writes": 150 },
    services: ["witness"],
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
