// Reads the bodies of requests. Every field is checked and unknown ones are refused, so that what is stored is
// exactly what the README describes.
import { invalidField, malformedBody } from "./problems.ts";

const MAX_PARCELS = 50;
const MAX_WEIGHT_GRAMS = 70_000;
const MAX_TEXT_LENGTH = 200;

/** Where parcels go. */
export type Destination = {
  name: string;
  line1: string;
  line2?: string;
  city: string;
  region?: string;
  postal_code: string;
  /** ISO 3166-1 alpha-2. */
  country: string;
};

/** How fast: express is dearer. */
export type ServiceLevel = "standard" | "express";

/** One parcel. */
export type Parcel = { weight_grams: number };

/** Body of POST /v1/shipments. */
export type BookingRequest = {
  /** The sender's own number for the shipment, e.g. an order id. */
  reference: string;
  destination: Destination;
  parcels: Parcel[];
  service: ServiceLevel;
};

/** Body of POST /v1/quotes. */
export type QuoteRequest = { destination: Pick<Destination, "country" | "postal_code">; parcels: Parcel[] };

type Fields = Record<string, unknown>;

/** Parses a JSON object; throws a 400 problem for anything else. */
function parseBody(body: string): Fields {
  try {
    return readObject(JSON.parse(body), "");
  } catch {
    throw malformedBody();
  }
}

/** Reads a booking; throws a 400 problem that names the field. */
export function readBooking(body: string): BookingRequest {
  const fields = parseBody(body);
  refuseUnknown(fields, "", ["reference", "destination", "parcels", "service"]);
  return {
    reference: readText(fields, "reference"),
    destination: readDestination(fields.destination),
    parcels: readParcels(fields.parcels),
    service: readService(fields.service),
  };
}

/** Reads a question for prices; a whole destination is accepted too. */
export function readQuoteRequest(body: string): QuoteRequest {
  const fields = parseBody(body);
  refuseUnknown(fields, "", ["destination", "parcels"]);
  const destination = readObject(fields.destination, "destination");
  const country = readCountry(destination);
  return {
    destination: { country, postal_code: readText(destination, "postal_code", "destination.") },
    parcels: readParcels(fields.parcels),
  };
}

function readDestination(value: unknown): Destination {
  const fields = readObject(value, "destination");
  const known = ["name", "line1", "line2", "city", "region", "postal_code", "country"];
  refuseUnknown(fields, "destination.", known);
  return {
    name: readText(fields, "name", "destination."),
    line1: readText(fields, "line1", "destination."),
    ...(fields.line2 === undefined ? {} : { line2: readText(fields, "line2", "destination.") }),
    city: readText(fields, "city", "destination."),
    ...(fields.region === undefined ? {} : { region: readText(fields, "region", "destination.") }),
    postal_code: readText(fields, "postal_code", "destination."),
    country: readCountry(fields),
  };
}

function readCountry(fields: Fields): string {
  const country = readText(fields, "country", "destination.");
  if (/^[A-Z]{2}$/.test(country)) return country;
  throw invalidField("destination.country", "A country is two capital letters.");
}

function readParcels(value: unknown): Parcel[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_PARCELS) {
    throw invalidField("parcels", `There must be 1 to ${MAX_PARCELS} parcels.`);
  }
  return value.map((parcel, index) => readParcel(parcel, `parcels[${index}]`));
}

function readParcel(value: unknown, path: string): Parcel {
  const fields = readObject(value, path);
  refuseUnknown(fields, `${path}.`, ["weight_grams"]);
  const weight = fields.weight_grams;
  if (typeof weight === "number" && Number.isInteger(weight) && weight >= 1 && weight <= MAX_WEIGHT_GRAMS) {
    return { weight_grams: weight };
  }
  throw invalidField(`${path}.weight_grams`, `A parcel weighs 1 to ${MAX_WEIGHT_GRAMS} whole grams.`);
}

function readService(value: unknown): ServiceLevel {
  if (value === "standard" || value === "express") return value;
  throw invalidField("service", "A service is standard or express.");
}

function readObject(value: unknown, path: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalidField(path, "This must be an object.");
}

function readText(fields: Fields, name: string, prefix = ""): string {
  const value = fields[name];
  if (typeof value === "string" && value.trim() !== "" && value.length <= MAX_TEXT_LENGTH) return value;
  throw invalidField(`${prefix}${name}`, `This must be a text of 1 to ${MAX_TEXT_LENGTH} characters.`);
}

function refuseUnknown(fields: Fields, prefix: string, known: string[]): void {
  for (const name of Object.keys(fields)) {
    if (!known.includes(name))
      throw invalidField(`${prefix}${name}`, "The carrier does not know this field.");
  }
}
