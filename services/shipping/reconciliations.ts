import { lowestId } from "#kit/ids/ids.ts";
import { idPages, type Reconciliation } from "#kit/reconciliation/definition.ts";
import { readShipmentIds } from "./carrier-audit-store.ts";
import { judgeShipments } from "./reconciliation/shipments.ts";
import { judgeStrangers, strangers } from "./reconciliation/strangers.ts";
import type { ShippingParts } from "./rpc.ts";

/** What shipping compares: its shipments with the carrier's books, and the carrier's live parcels with its shipments. */
export const shippingReconciliations = (parts: ShippingParts): Reconciliation[] => [
  {
    name: "shipments-with-carrier",
    everyMs: 60_000,
    subjects: ({ since }) =>
      idPages(since ? lowestId("shipment", since) : "", (after, limit) =>
        readShipmentIds(parts.db, after, limit),
      ),
    judge: (shipmentIds, scope) => judgeShipments(parts, shipmentIds, scope),
  },
  {
    name: "carrier-with-shipments",
    everyMs: 60_000,
    subjects: (scope) => strangers(parts, scope),
    judge: (references, scope) => judgeStrangers(parts, references, scope),
  },
];
