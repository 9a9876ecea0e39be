import type { FaultKind } from "../faults/fault.ts";
import type { Incident } from "../faults/incident.ts";

/** How soon the shop took orders again after a store was back, in milliseconds, one number per incident. */
export function recoveriesMs(
  incidents: readonly Incident[],
  outcomes: readonly { readonly atMs: number; readonly outcome: string }[],
  kind: FaultKind,
): number[] {
  const successes = outcomes.filter(({ outcome }) => outcome === "ok").map(({ atMs }) => atMs);
  const last = successes.at(-1) ?? 0;
  return incidents
    .filter(({ fault, toMs }) => fault.kind === kind && toMs < last)
    .map(({ toMs }) => (successes.find((atMs) => atMs >= toMs) ?? last) - toMs);
}

/** The value below which this share of all lies; undefined of none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
