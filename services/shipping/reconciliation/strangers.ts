import { inFew, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import type { CarrierRecord } from "../carrier.ts";
import { readAuditsOfOrders, type ShipmentAudit } from "../carrier-audit-store.ts";
import type { ShippingParts } from "../rpc.ts";

/** References of the carrier's live parcels that are no shipment of ours, or one whose booking we have not heard of. */
export async function* strangers(
  { db, carrier }: ShippingParts,
  { since, deadline, graceMs }: Scope,
): AsyncGenerator<readonly string[]> {
  for await (const records of carrier.list({ from: since, to: undefined }, deadline)) {
    const byOrder = await auditsByOrder(db, records, graceMs);
    yield records.filter((record) => !isOurs(record, byOrder)).map(({ reference }) => reference);
  }
}

/** Asks about each again: what was cancelled since is settled, what is still under way is left to a later run. */
export async function judgeStrangers(
  { db, carrier }: ShippingParts,
  references: readonly string[],
  { deadline, graceMs }: Scope,
): Promise<Verdict[]> {
  const records = new Map<string, CarrierRecord>();
  await inFew(references, async (reference) => {
    const record = await carrier.look(reference, deadline);
    if (record) records.set(reference, record);
  });
  const byOrder = await auditsByOrder(db, [...records.values()], graceMs);
  return references.flatMap((subjectId): Verdict[] => {
    const record = records.get(subjectId);
    if (!record || isOurs(record, byOrder)) return [{ subjectId, discrepancy: undefined }];
    const pending = byOrder.get(record.orderId)?.find(({ status }) => status === "PENDING");
    if (pending && !pending.atRest) return [];
    return [{ subjectId, discrepancy: complaint(record, pending) }];
  });
}

async function auditsByOrder(db: ShippingParts["db"], records: readonly CarrierRecord[], graceMs: number) {
  const orderIds = records.map(({ orderId }) => orderId);
  return Map.groupBy(await readAuditsOfOrders(db, orderIds, graceMs), ({ orderId }) => orderId);
}

/** A parcel that is not live is nobody's concern. How one of ours stands is judged with our shipments. */
const isOurs = (
  { standing, orderId, reference }: CarrierRecord,
  byOrder: ReadonlyMap<string, readonly ShipmentAudit[]>,
) =>
  standing === "cancelled" || byOrder.get(orderId)?.some((audit) => audit.reference === reference) === true;

const complaint = ({ standing, orderId }: CarrierRecord, pending: ShipmentAudit | undefined) =>
  pending
    ? `it is ${standing} there for ${pending.shipmentId}, which is PENDING here`
    : `it is ${standing} there for ${orderId}, for no shipment of ours`;
