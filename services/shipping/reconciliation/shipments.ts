import { inFew, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { Carrier, CarrierRecord } from "../carrier.ts";
import { readShipmentAudits, type ShipmentAudit } from "../carrier-audit-store.ts";
import type { ShippingParts } from "../rpc.ts";

/** Two clocks: the shop's row is written just before the carrier's record. */
const beforeMs = 1_000;
const afterMs = 5_000;
const maxListPages = 10;

/** Each of our shipments at rest stands at the carrier as it does here. */
export async function judgeShipments(
  { db, carrier }: ShippingParts,
  shipmentIds: readonly string[],
  { graceMs, deadline }: Scope,
): Promise<Verdict[]> {
  const audits = await readShipmentAudits(db, shipmentIds, graceMs);
  const resting = audits.filter(({ atRest }) => atRest);
  const records = await recordsOf(carrier, resting, deadline);
  const known = new Set(audits.map(({ shipmentId }) => shipmentId));
  const gone = shipmentIds.filter((id) => !known.has(id));
  return [
    ...resting.map((audit) => ({ subjectId: audit.shipmentId, discrepancy: complaint(audit, records) })),
    ...gone.map((subjectId) => ({ subjectId, discrepancy: undefined })),
  ];
}

/** Most are on the list of the time they were made in; who is not there is asked for one by one. */
async function recordsOf(carrier: Carrier, audits: readonly ShipmentAudit[], deadline: Deadline) {
  const booked = audits.filter(({ reference }) => reference !== null);
  const records = new Map<string, CarrierRecord>();
  for (const record of await listAround(carrier, booked, deadline)) records.set(record.reference, record);
  const missing = booked.flatMap(({ reference }) =>
    reference === null || records.has(reference) ? [] : [reference],
  );
  await inFew(missing, async (reference) => {
    const record = await carrier.look(reference, deadline);
    if (record) records.set(reference, record);
  });
  return records;
}

async function listAround(carrier: Carrier, audits: readonly ShipmentAudit[], deadline: Deadline) {
  if (audits.length === 0) return [];
  const times = audits.map(({ createdAt }) => createdAt.getTime());
  const from = new Date(Math.min(...times) - beforeMs);
  const to = new Date(Math.max(...times) + afterMs);
  const records: CarrierRecord[] = [];
  let pages = 0;
  for await (const page of carrier.list({ from, to }, deadline)) {
    records.push(...page);
    pages += 1;
    if (pages === maxListPages) break;
  }
  return records;
}

/** Nothing is known of what has no reference: what the carrier has of it anyway is found from its side. */
function complaint(
  { orderId, status, reference }: ShipmentAudit,
  records: ReadonlyMap<string, CarrierRecord>,
): string | undefined {
  if (reference === null) return undefined;
  const record = records.get(reference);
  if (!record) return `the carrier does not know ${reference}`;
  const live = record.standing !== "cancelled";
  const complaints = [
    live !== (status === "BOOKED") && `it is ${status} here, ${record.standing} there`,
    record.orderId !== orderId && `it is for ${orderId} here, for ${record.orderId} there`,
  ].filter((one) => one !== false);
  return complaints.length > 0 ? complaints.join("; ") : undefined;
}
