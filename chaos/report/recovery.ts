import type { FaultKind } from "../faults/fault.ts";
import type { Incident } from "../faults/incident.ts";
import { databaseLink } from "../shop/ports.ts";
import type { Standstill } from "../standstills.ts";

/** What a customer's request passes: while one of these is out, a store's return alone brings no success. */
const onTheWay = ["gateway", "catalog", "orders", "shipping"];
const waysThere = new Set([...onTheWay, ...onTheWay.map(databaseLink)]);

function isOutage({ fault }: Incident): boolean {
  switch (fault.kind) {
    case "crash-postgres":
      return true;
    case "freeze-service":
      return onTheWay.includes(fault.service);
    case "trouble-link":
      return waysThere.has(fault.link);
    default:
      return false;
  }
}

/**
 * How soon the shop took orders again after a store was back, in milliseconds, one number per incident; only of those after
 * which nothing else on the way was out until the first success.
 */
export function recoveriesMs(
  incidents: readonly Incident[],
  outcomes: readonly { readonly atMs: number; readonly outcome: string }[],
  kind: FaultKind,
  standstills: readonly Standstill[],
): number[] {
  const successes = outcomes.filter(({ outcome }) => outcome === "ok").map(({ atMs }) => atMs);
  const outages = incidents.filter(isOutage);
  const within = (backMs: number, successMs: number) => (other: Standstill) =>
    other.fromMs < successMs && other.toMs > backMs;
  return incidents.flatMap((incident) => {
    const { fault, toMs: backMs } = incident;
    const successMs = successes.find((atMs) => atMs >= backMs);
    if (fault.kind !== kind || successMs === undefined) return [];
    const isIn = within(backMs, successMs);
    const out = standstills.some(isIn) || outages.some((other) => other !== incident && isIn(other));
    return out ? [] : [successMs - backMs];
  });
}

/** The value below which this share of all lies; undefined of none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
