// Pieces and parcels: what was sold has left the shelf once, and travels once.

import { accountsOf } from "./account.ts";
import type { CarrierLine, Evidence } from "./evidence.ts";
import { by, faultsOf, type Invariant } from "./invariant.ts";

/** Orders whose parcel travels. */
const kept = new Set(["confirmed", "refunded"]);

/** How many pieces of each SKU left the shelf for good, by what the orders say of themselves. */
function gonePieces(evidence: Evidence): Map<string, number> {
  const total = new Map<string, number>();
  for (const { gone } of accountsOf(evidence))
    for (const [sku, quantity] of gone) total.set(sku, (total.get(sku) ?? 0) + quantity);
  return total;
}

/** Pieces neither vanish nor appear. */
export const stockAddsUp: Invariant = {
  name: "stock-adds-up",
  title:
    "on hand = initial − sold + returned; nothing is reserved at rest; never less than nothing, at no moment",
  number: 5,
  check(evidence) {
    const gone = gonePieces(evidence);
    const atRest = faultsOf(evidence.stock, ({ sku, onHand, reserved }) => {
      const initial = evidence.pieces.get(sku);
      if (initial === undefined) return undefined;
      const sold = gone.get(sku) ?? 0;
      return [
        ...(onHand === initial - sold
          ? []
          : [`${sku} has ${onHand} on hand, of ${initial} with ${sold} sold`]),
        ...(reserved === 0 ? [] : [`${sku} has ${reserved} reserved at rest`]),
      ];
    });
    const meanwhile = faultsOf(evidence.stockSamples, ({ sku, onHand, reserved, atMs }) =>
      reserved < 0 || reserved > onHand
        ? `${sku} had ${reserved} of ${onHand} reserved at ${atMs} ms`
        : undefined,
    );
    const movements = faultsOf(
      by(
        evidence.movements.filter(({ reason }) => reason === "sold"),
        ({ orderId, sku }) => `${orderId} ${sku}`,
      ),
      ([what, rows]) => rows.length > 1 && `${what} left the shelf ${rows.length} times`,
    );
    return [...atRest, ...meanwhile, ...movements];
  },
};

/** A confirmed order travels once, any other not at all. */
export const oneShipment: Invariant = {
  name: "one-shipment-per-order",
  title: "a confirmed order has one parcel at the carrier and in the books; a cancelled one has none",
  number: 6,
  check(evidence) {
    const known = new Map(evidence.orders.map(({ orderId, status }) => [orderId, status]));
    const parcels = by(liveParcels(evidence.carrier), ({ orderId }) => orderId);
    const booked = by(
      evidence.shipments.filter(({ status }) => status === "BOOKED"),
      ({ orderId }) => orderId,
    );
    const wrong = faultsOf(known, ([orderId, status]) => {
      const counts = [parcels, booked].map((of) => (of.get(orderId) ?? []).length);
      const wanted = kept.has(status) ? 1 : 0;
      return counts.some((count) => count !== wanted)
        ? `${orderId} is ${status} with ${counts[0]} parcels at the carrier and ${counts[1]} in the books`
        : undefined;
    });
    const strangers = faultsOf(
      parcels.keys(),
      (orderId) => !known.has(orderId) && `a parcel travels for ${orderId}, which is no order`,
    );
    const open = faultsOf(
      evidence.shipments,
      ({ status, orderId }) => status === "PENDING" && `the shipment of ${orderId} is still PENDING`,
    );
    return [...wrong, ...strangers, ...open];
  },
};

function liveParcels(lines: readonly CarrierLine[]): CarrierLine[] {
  const cancelled = new Set(lines.filter(({ kind }) => kind === "canceled").map(({ shipment }) => shipment));
  return lines.filter(({ kind, shipment }) => kind === "booked" && !cancelled.has(shipment));
}
