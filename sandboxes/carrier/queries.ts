import type { Collection, Page } from "../collection.ts";
import { invalidField } from "./problems.ts";
import type { Shipment } from "./shipment.ts";

const MAX_LISTED = 100;
const MAX_SECONDS = 99_999_999_999;
const PARAMETERS = new Set(["reference", "created_from", "created_to", "limit", "starting_after"]);

/** GET /v1/shipments: newest first; of one reference, or made within a time. */
export function listShipments(shipments: Collection<Shipment>, query: string): object {
  const { data, hasMore } = readPage(shipments, new URLSearchParams(query));
  return { shipments: data, has_more: hasMore };
}

function readPage(shipments: Collection<Shipment>, params: URLSearchParams): Page<Shipment> {
  const unknown = [...params.keys()].find((name) => !PARAMETERS.has(name));
  if (unknown !== undefined) throw invalidField(unknown, "There is no such parameter.");
  const from = readNumber(params, "created_from", 0, MAX_SECONDS);
  const to = readNumber(params, "created_to", 0, MAX_SECONDS);
  const reference = params.get("reference");
  return shipments.page({
    limit: readNumber(params, "limit", 1, MAX_LISTED) ?? MAX_LISTED,
    ...(from !== undefined && { createdFrom: from }),
    ...(to !== undefined && { createdTo: to }),
    startingAfter: readCursor(shipments, params),
    ...(reference !== null && { matches: (shipment) => shipment.reference === reference }),
  });
}

function readNumber(params: URLSearchParams, name: string, min: number, max: number): number | undefined {
  const text = params.get(name);
  if (text === null) return undefined;
  const number = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw invalidField(name, `It must be a whole number from ${min} to ${max}.`);
}

function readCursor(shipments: Collection<Shipment>, params: URLSearchParams): Shipment | undefined {
  const id = params.get("starting_after");
  if (id === null) return undefined;
  const shipment = shipments.get(id);
  if (!shipment) throw invalidField("starting_after", "There is no such shipment.");
  return shipment;
}
