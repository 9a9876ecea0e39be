import type { CarrierLine, Evidence, ProcessorLine, StreamEvent } from "../invariants/evidence.ts";
import { eventStreams, readStream, withStreams } from "../streams.ts";
import { type Access, readLedger } from "./access.ts";
import {
  readChassis,
  readInventory,
  readOrders,
  readPayments,
  readShipments,
  readSightings,
} from "./tables.ts";

/** What the harness itself knows of a run. */
export type Own = Pick<
  Evidence,
  "history" | "stockSamples" | "pieces" | "restless" | "ailments" | "earlierOrders" | "earlierEvents"
>;

/** Reads everything the invariants are judged by. */
export async function gatherEvidence(access: Access, own: Own): Promise<Evidence> {
  const processor = await readLedger<WireProcessorLine>(access.cardProcessor);
  const carrier = await readLedger<WireCarrierLine>(access.carrier);
  const witnessed = access.databases.includes("witness");
  return {
    ...own,
    ...(await readOrders(access)),
    ...(await readInventory(access)),
    ...(await readChassis(access)),
    payments: await readPayments(access),
    shipments: await readShipments(access),
    processor: processor.map(toProcessorLine),
    carrier: carrier.flatMap(toCarrierLine),
    stream: await readAllStreams(access),
    sightings: witnessed ? await readSightings(access) : undefined,
  };
}

interface WireProcessorLine {
  readonly kind: string;
  readonly payment_intent?: string;
  readonly amount?: number;
  readonly currency?: string;
  readonly metadata?: { readonly order_id?: string };
}

const toProcessorLine = (line: WireProcessorLine): ProcessorLine => ({
  kind: line.kind,
  intent: line.payment_intent ?? "",
  orderId: line.metadata?.order_id ?? "",
  amountMinor: BigInt(line.amount ?? 0),
  currencyCode: (line.currency ?? "").toUpperCase(),
});

interface WireCarrierLine {
  readonly kind: string;
  readonly shipment?: string;
  readonly reference?: string;
}

const toCarrierLine = ({ kind, shipment, reference }: WireCarrierLine): CarrierLine[] =>
  shipment === undefined ? [] : [{ kind, shipment, orderId: reference ?? "" }];

/** Every event of the shop that its streams hold, copies among them. */
export async function readAllStreams({ natsUrl }: Access): Promise<StreamEvent[]> {
  return await withStreams(natsUrl, async (streams) => {
    const events: StreamEvent[] = [];
    for (const stream of await eventStreams(streams)) {
      for (const { header } of await readStream(streams, stream, { bare: true })) {
        events.push({
          eventId: header("ce-id"),
          type: header("ce-type"),
          aggregateId: header("ce-subject"),
          version: BigInt(header("souk-aggregate-version") || "0"),
        });
      }
    }
    return events;
  });
}
