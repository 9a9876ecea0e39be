import { keyReused } from "#kit/errors/errors.ts";
import {
  createProviderHttp,
  type ProviderAddress,
  type ProviderAnswer,
  type ProviderHttp,
  type ProviderRequest,
} from "#kit/http/http.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { Booking, Carrier, CarrierRecord, TrackingEvent } from "./carrier.ts";
import { type CarrierTruth, type Destination, outcomeUnknown, stillUnderWay } from "./shipment.ts";

interface Api {
  readonly http: ProviderHttp;
  readonly timeoutMs: number;
}

/** The carrier over its JSON API. */
export function createParcelCarrier(address: ProviderAddress): Carrier {
  const api: Api = { http: createProviderHttp(address), timeoutMs: address.timeoutMs };
  return {
    book: (booking, deadline) => book(api, booking, deadline),
    cancel: (command, deadline) => cancel(api, command, deadline),
    find: (reference, deadline) => find(api, reference, deadline),
    track: (trackingNumber, deadline) => track(api, trackingNumber, deadline),
    list: (within, deadline) => list(api, within, deadline),
    look: (reference, deadline) => look(api, reference, deadline),
    close: () => api.http.close(),
  };
}

async function book(api: Api, booking: Booking, deadline: Deadline): Promise<CarrierTruth> {
  const { key, orderId, destination, serviceLevel, parcelGrams } = booking;
  const body = toJson({
    reference: orderId,
    destination: toCarrierAddress(destination),
    parcels: parcelGrams.map((grams) => ({ weight_grams: grams })),
    service: serviceLevel === "EXPRESS" ? "express" : "standard",
  });
  const answer = await send(api, { method: "POST", path: "/v1/shipments", body, key }, deadline);
  if (answer.status === 201) return truthOf(answer);
  const { code } = errorOf(answer);
  if (code === "idempotency_key_reused") throw keyReused();
  // What the carrier cannot even read as an address is one it does not deliver to.
  if (code === "address_refused" || code === "invalid_field") return { standing: "refused" };
  throw unexpected(answer);
}

async function cancel(
  api: Api,
  { key, reference }: { key: string; reference: string },
  deadline: Deadline,
): Promise<CarrierTruth> {
  const path = `/v1/shipments/${encodeURIComponent(reference)}`;
  const answer = await send(api, { method: "POST", path: `${path}/cancel`, key }, deadline);
  if (answer.status === 200) return truthOf(answer);
  if (errorOf(answer).code !== "already_dispatched") throw unexpected(answer);
  return await find(api, reference, deadline);
}

async function find(api: Api, reference: string, deadline: Deadline): Promise<CarrierTruth> {
  const path = `/v1/shipments/${encodeURIComponent(reference)}`;
  return truthOf(await send(api, { method: "GET", path }, deadline));
}

async function track(api: Api, trackingNumber: string, deadline: Deadline): Promise<TrackingEvent[]> {
  const path = `/v1/tracking/${encodeURIComponent(trackingNumber)}`;
  const answer = await send(api, { method: "GET", path }, deadline);
  if (answer.status !== 200) throw unexpected(answer);
  const { events } = answer.body as { events: { status: string; at: string }[] };
  return events.map(({ status, at }) => ({ description: status, occurredAt: new Date(at) }));
}

/** A shipment with its history has up to 12 KB: so many stay within what an answer may have. */
const pageSize = 20;

async function* list(
  api: Api,
  { from, to }: { readonly from: Date | undefined; readonly to: Date | undefined },
  deadline: Deadline,
): AsyncGenerator<readonly CarrierRecord[]> {
  const seconds = (at: Date) => Math.floor(at.getTime() / 1_000);
  const within = (from ? `&created_from=${seconds(from)}` : "") + (to ? `&created_to=${seconds(to)}` : "");
  const first = `/v1/shipments?limit=${pageSize}${within}`;
  let path: string | undefined = first;
  while (path !== undefined) {
    const answer = await send(api, { method: "GET", path }, deadline);
    const body = answer.body as { shipments?: unknown; has_more?: boolean } | null;
    if (answer.status !== 200 || !Array.isArray(body?.shipments)) throw unexpected(answer);
    const records = body.shipments.map(recordOf);
    yield records;
    const last = records.at(-1);
    path =
      body.has_more === true && last
        ? `${first}&starting_after=${encodeURIComponent(last.reference)}`
        : undefined;
  }
}

async function look(api: Api, reference: string, deadline: Deadline): Promise<CarrierRecord | undefined> {
  const path = `/v1/shipments/${encodeURIComponent(reference)}`;
  const answer = await send(api, { method: "GET", path }, deadline);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw unexpected(answer);
  return recordOf(answer.body);
}

/**
 * Sends, and leaves only answers that say what happened.
 * @throws ServiceError DEPENDENCY_UNAVAILABLE for no answer, a fault there, too many requests, and a
 *   refused API key (an operator will mend that).
 */
async function send(
  api: Api,
  request: Omit<ProviderRequest, "timeoutMs">,
  deadline: Deadline,
): Promise<ProviderAnswer> {
  const timeoutMs = Math.min(api.timeoutMs, deadline.remainingMs());
  let answer: ProviderAnswer;
  try {
    answer = await api.http.send({ ...request, timeoutMs });
  } catch (cause) {
    throw outcomeUnknown(cause);
  }
  const { status } = answer;
  if (errorOf(answer).code === "idempotency_key_in_use") throw stillUnderWay();
  if (status >= 500 || status === 429 || status === 401) throw unexpected(answer);
  return answer;
}

const toJson = (value: object) => ({ type: "application/json", text: JSON.stringify(value) });

/** The carrier has no empty fields. */
const toCarrierAddress = ({ name, line1, line2, city, postalCode, countryCode }: Destination) => ({
  name,
  line1,
  ...(line2 && { line2 }),
  city,
  postal_code: postalCode,
  country: countryCode,
});

interface ShipmentBody {
  readonly id?: string;
  readonly tracking_number?: string;
  readonly status?: string;
  readonly reference?: string;
}

function truthOf({ body }: ProviderAnswer): CarrierTruth {
  const { id, tracking_number: trackingNumber, status } = (body ?? {}) as ShipmentBody;
  if (!id || !trackingNumber || !status)
    throw outcomeUnknown(new Error("the carrier's answer is no shipment"));
  return { standing: standingOf(status), reference: id, trackingNumber };
}

function standingOf(status: string): CarrierRecord["standing"] {
  if (status === "booked") return "booked";
  return status === "canceled" ? "cancelled" : "dispatched";
}

function recordOf(value: unknown): CarrierRecord {
  const { id, reference: orderId, status } = (value ?? {}) as ShipmentBody;
  if (!id || !orderId || !status) throw outcomeUnknown(new Error("what the carrier listed is no shipment"));
  return { reference: id, orderId, standing: standingOf(status) };
}

interface CarrierError {
  readonly code?: string;
  readonly message?: string;
}

const errorOf = ({ body }: ProviderAnswer): CarrierError =>
  (body as { error?: CarrierError } | null)?.error ?? {};

const unexpected = (answer: ProviderAnswer) =>
  outcomeUnknown(new Error(`the carrier answered ${answer.status}: ${errorOf(answer).message}`));
