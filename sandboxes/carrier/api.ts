import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Answers, Effect, Outcome } from "../answers.ts";
import type { Collection } from "../collection.ts";
import type { Handle, PlainReply, SandboxReply, SandboxRequest } from "../http.ts";
import type { Ledger, LedgerEntry } from "../ledger.ts";
import { ledgerReply, matchesQuery } from "../ledger-view.ts";
import type { Config } from "./config.ts";
import { quoteAll } from "./pricing.ts";
import {
  alreadyEnded,
  keyInUse,
  keyMissing,
  keyOfOtherRequest,
  notFound,
  Problem,
  unauthorized,
} from "./problems.ts";
import { listShipments } from "./queries.ts";
import { readBooking, readQuoteRequest } from "./requests.ts";
import {
  advanceShipment,
  behaviorOf,
  bookShipment,
  cancelShipment,
  idOfTrackingNumber,
  type Shipment,
} from "./shipment.ts";

const MAX_KEY_LENGTH = 255;

/** What the API works with. */
export type Carrier = { config: Config; shipments: Collection<Shipment>; answers: Answers; ledger: Ledger };

/** Repeats what a ledger entry did: its answer holds the shipment as it was afterwards. */
export function restoreEntry(shipments: Collection<Shipment>, { kind, answer }: LedgerEntry): void {
  if (kind !== "refused") shipments.put(answer as Shipment);
}

/** Answers every request of the carrier. */
export function createHandle(carrier: Carrier): Handle {
  const authorization = `Bearer ${carrier.config.apiKey}`;
  return async (request) => {
    try {
      return await answer(carrier, authorization, request);
    } catch (cause) {
      if (!(cause instanceof Problem)) throw cause;
      return { status: cause.status, body: JSON.stringify({ error: cause.body }) };
    }
  };
}

/** What the HTTP server says where no request reaches the API. */
export const plainReply: PlainReply = (status, message) => {
  const codes = {
    413: "body_too_large",
    429: "too_many_requests",
    500: "internal",
    503: "starting",
  } as const;
  return { status, body: JSON.stringify({ error: { code: codes[status], message } }) };
};

async function answer(
  carrier: Carrier,
  authorization: string,
  request: SandboxRequest,
): Promise<SandboxReply> {
  const { method, path, query } = request;
  if (path === "/health") {
    await carrier.ledger.settled();
    return ok({ status: "ok" });
  }
  if (request.headers.authorization !== authorization) throw unauthorized();
  if (method === "POST") return post(carrier, request);
  if (method !== "GET") throw notFound("such address");
  if (path === "/sandbox/ledger") return ledgerReply(carrier.ledger, matchesQuery(query));
  const found = get(carrier.shipments, path, query);
  await carrier.ledger.settled();
  return ok(found);
}

function get(shipments: Collection<Shipment>, path: string, query: string): object {
  if (path === "/v1/shipments") return listShipments(shipments, query);
  const [, version, resource, id, rest] = path.split("/");
  if (version !== "v1" || id === undefined || rest !== undefined) throw notFound("such address");
  if (resource === "shipments") return shipmentOf(shipments, id);
  if (resource === "tracking") return track(shipments, id);
  throw notFound("such address");
}

async function post(carrier: Carrier, request: SandboxRequest): Promise<SandboxReply> {
  const { path, body } = request;
  if (path === "/v1/quotes") return ok({ quotes: quoteAll(readQuoteRequest(body), carrier.config.currency) });
  if (path === "/v1/shipments") return book(carrier, request);
  const [, area, resource, id, action, rest] = path.split("/");
  if (resource !== "shipments" || id === undefined || rest !== undefined) throw notFound("such address");
  if (area === "v1" && action === "cancel") return cancel(carrier, request, id);
  if (area === "sandbox" && action === "advance") return advance(carrier, request, id);
  throw notFound("such address");
}

function book(carrier: Carrier, request: SandboxRequest): Promise<SandboxReply> {
  if (keyOf(request.headers) === undefined) throw keyMissing();
  const { config, shipments } = carrier;
  const booking = readBooking(request.body);
  const behavior = behaviorOf(booking.destination);
  const apply = () => {
    const shipment = bookShipment(booking, {
      now: new Date(),
      created: shipments.nextCreated(),
      currency: config.currency,
    });
    shipments.put(shipment);
    return { ...effectOf("booked", shipment), status: 201, withheld: behavior === "withhold" };
  };
  const delayMs = behavior === "slow" ? config.slowMs : 0;
  return once(carrier, request, { delayMs, refused: { reference: booking.reference }, apply });
}

async function cancel(carrier: Carrier, request: SandboxRequest, id: string): Promise<SandboxReply> {
  const { shipments, ledger } = carrier;
  const before = shipmentOf(shipments, id);
  if (before.status === "canceled") {
    await ledger.settled();
    return ok(before);
  }
  const { reference } = before;
  const apply = () => {
    const shipment = cancelShipment(shipmentOf(shipments, id), new Date());
    shipments.put(shipment);
    return effectOf("canceled", shipment);
  };
  return once(carrier, request, { refused: { shipment: id, reference }, apply });
}

function advance(carrier: Carrier, request: SandboxRequest, id: string): Promise<SandboxReply> {
  const { shipments } = carrier;
  const { reference } = shipmentOf(shipments, id);
  const apply = () => {
    const before = shipmentOf(shipments, id);
    const shipment = advanceShipment(before, new Date());
    if (!shipment) throw alreadyEnded(before.status);
    shipments.put(shipment);
    return effectOf(shipment.status, shipment);
  };
  return once(carrier, request, { refused: { shipment: id, reference }, apply });
}

type Work = {
  delayMs?: number;
  /** Fields of the ledger line when the carrier refuses. */
  refused: Record<string, unknown>;
  apply(): Effect;
};

async function once(
  { answers, config }: Carrier,
  request: SandboxRequest,
  work: Work,
): Promise<SandboxReply> {
  const { path, body, headers } = request;
  const attempt = { key: keyOf(headers), method: "POST", path, body, requestId: randomUUID() };
  const outcome = await answers.once(attempt, work.delayMs ?? 0, () => orRefusal(work));
  const withheld = outcome.outcome === "answered" && outcome.withheld;
  return withheld ? { ...replyOf(outcome), withholdMs: config.withholdMs } : replyOf(outcome);
}

/** A refusal that depends on address or state becomes an answer that is remembered. */
function orRefusal({ refused, apply }: Work): Effect {
  try {
    return apply();
  } catch (cause) {
    if (!(cause instanceof Problem && cause.remembered)) throw cause;
    return { kind: "refused", fields: refused, status: cause.status, answer: { error: cause.body } };
  }
}

function effectOf(kind: string, shipment: Shipment): Effect {
  const { id, reference, tracking_number, cost_minor, currency } = shipment;
  return {
    kind,
    fields: { shipment: id, reference, tracking_number, cost_minor, currency },
    status: 200,
    answer: shipment,
  };
}

function replyOf(outcome: Outcome): SandboxReply {
  if (outcome.outcome === "under_way") throw keyInUse();
  if (outcome.outcome === "other_request") throw keyOfOtherRequest();
  const { status, body } = outcome;
  if (outcome.outcome === "replayed") return { status, headers: { "idempotent-replayed": "true" }, body };
  return { status, body };
}

function track(shipments: Collection<Shipment>, trackingNumber: string): object {
  const id = idOfTrackingNumber(trackingNumber);
  if (id === undefined) throw notFound("such shipment");
  const { status, events } = shipmentOf(shipments, id);
  return { tracking_number: trackingNumber, status, events };
}

function shipmentOf(shipments: Collection<Shipment>, id: string): Shipment {
  const shipment = shipments.get(id);
  if (!shipment) throw notFound("such shipment");
  return shipment;
}

function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && key.length > 0 && key.length <= MAX_KEY_LENGTH) return key;
  throw keyMissing();
}

function ok(answered: object): SandboxReply {
  return { status: 200, body: JSON.stringify(answered) };
}
