// What an order says of itself, added up from its events: what it cost, what was paid back, which pieces the customer keeps.

import type { Claim, Evidence, OrderEventRow, Piece } from "./evidence.ts";
import { sumMinor } from "./invariant.ts";

/** An order by its own account. */
export interface Account {
  readonly orderId: string;
  readonly placed: OrderEventRow["placed"];
  readonly confirmed: boolean;
  readonly cancelled: boolean;
  /** Returns and refunds that were accepted. */
  readonly claims: readonly Claim[];
  /** Of them, those that are neither done nor refused. */
  readonly openClaims: readonly Claim[];
  /** What the returns and refunds that are done have paid back. */
  readonly paidBackMinor: bigint;
  /** Pieces that left the shelf and are not to come back to it, by SKU. */
  readonly gone: ReadonlyMap<string, number>;
}

/** The account of each order. */
export function accountsOf({ orderEvents }: Evidence): Account[] {
  const histories = Map.groupBy(orderEvents, ({ orderId }) => orderId);
  return [...histories].map(([orderId, events]) => toAccount(orderId, events));
}

function toAccount(orderId: string, events: readonly OrderEventRow[]): Account {
  const has = (type: string) => events.some((event) => event.type === type);
  const ended = (type: string) =>
    new Set(events.filter((event) => event.type === type).map(({ claimId }) => claimId));
  const placed = events.find((event) => event.placed)?.placed;
  const [confirmed, cancelled] = [has("confirmed"), has("cancelled")];
  const claims = events.flatMap(({ claim }) => claim ?? []);
  const [paid, refused] = [ended("refunded"), ended("refundRefused")];
  const done = claims.filter(({ claimId }) => paid.has(claimId));
  return {
    ...{ orderId, placed, confirmed, cancelled, claims },
    openClaims: claims.filter(({ claimId }) => !paid.has(claimId) && !refused.has(claimId)),
    paidBackMinor: sumMinor(done, ({ amountMinor }) => amountMinor),
    gone: confirmed ? keptPieces(placed?.lines ?? [], done, cancelled) : new Map(),
  };
}

/** Cancelling puts back whatever was not taken back before; what was unfit then stays away. */
function keptPieces(bought: readonly Piece[], done: readonly Claim[], cancelled: boolean) {
  const unfit = done.filter(({ unsellable }) => unsellable).flatMap(({ taken }) => taken);
  if (cancelled) return addUp(unfit);
  const shelved = done.filter(({ unsellable }) => !unsellable).flatMap(({ taken }) => taken);
  return addUp([...bought, ...shelved.map(({ sku, quantity }) => ({ sku, quantity: -quantity }))]);
}

function addUp(pieces: readonly Piece[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { sku, quantity } of pieces) counts.set(sku, (counts.get(sku) ?? 0) + quantity);
  return counts;
}
