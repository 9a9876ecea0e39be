import type { FaultKind } from "./faults/fault.ts";
import type { Incident } from "./faults/incident.ts";

/** Something a run has to reach to count. */
export interface Requirement {
  readonly name: string;
  readonly asked: number;
  readonly reached: number;
}

/** Faults per ten minutes that a run of the random kind has to reach. */
const perTenMinutes: readonly (readonly [name: string, kind: FaultKind, count: number])[] = [
  ["service SIGKILLs", "kill-service", 80],
  ["broker kills", "kill-broker", 10],
  ["Postgres crashes", "crash-postgres", 10],
  ["backend terminations", "terminate-backends", 300],
  ["Redis flushes", "flush-redis", 10],
];
const ordersPerTenMinutes = 5_000;

/** What a run of this length was asked for, and what it came to; without faults of its own only orders count. */
export function measureRun(run: {
  readonly minutes: number;
  /** The share of all this that is asked for. */
  readonly speed: number;
  readonly incidents: readonly Incident[];
  readonly orders: number;
  readonly faults: boolean;
}): Requirement[] {
  const asked = (count: number) => Math.floor((count * run.minutes * run.speed) / 10);
  const orders = { name: "orders accepted", asked: asked(ordersPerTenMinutes), reached: run.orders };
  if (!run.faults) return [orders];
  const faults = perTenMinutes.map(([name, kind, count]) => ({
    name,
    asked: asked(count),
    reached: hitsOf(run.incidents, kind),
  }));
  return [orders, ...faults];
}

/** How often a kind of fault hit something. */
export const hitsOf = (incidents: readonly Incident[], kind: FaultKind): number =>
  incidents.filter(({ fault }) => fault.kind === kind).reduce((sum, { hits }) => sum + hits, 0);
