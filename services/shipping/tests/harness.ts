import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { announcedInOrder } from "#kit/testing/announced.ts";
import { startForTest, type TestService } from "#kit/testing/testing.ts";
import { startSandboxProcess } from "../../../sandboxes/sandbox-process.ts";
import { shipping } from "../main.ts";

/** API key of the carrier that tests start. */
export const carrierKey = "carrier_test_shipping";

/** How long the service of these tests waits for the carrier. */
const carrierTimeoutMs = 600;

/** Shipping with a carrier of its own. */
export interface Harness {
  readonly service: TestService;
  readonly carrierUrl: string;
  /** The caller that runs checkouts. */
  readonly orders: Client<typeof ShippingService>;
  customer(sub: string): Client<typeof ShippingService>;
  stop(): Promise<void>;
}

/** The variables shipping needs beside those of every service. */
const shippingEnvironment = (carrierUrl: string): Record<string, string> => ({
  CARRIER_URL: carrierUrl,
  CARRIER_KEY: carrierKey,
  CARRIER_TIMEOUT_MS: String(carrierTimeoutMs),
});

/** Starts shipping and its carrier. */
export async function startShipping(): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), "souk-carrier-"));
  const limits = { WITHHOLD_MS: "60000", SLOW_MS: "200" };
  const carrier = await startSandboxProcess("carrier", { DATA_DIR: folder, API_KEY: carrierKey, ...limits });
  const service = await startForTest(shipping, { env: shippingEnvironment(carrier.url) });
  return {
    service,
    carrierUrl: carrier.url,
    orders: service.client(ShippingService, { service: "orders" }),
    customer: (sub) => service.client(ShippingService, { sub, scope: "shipping:read" }),
    async stop() {
      await service.stop();
      await carrier.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** A checkout's wish to have a parcel sent, with keys as a saga makes them. */
export function aCheckout(changes: { postalCode?: string; countryCode?: string } = {}) {
  const saga = newId("saga");
  const { postalCode = "10115", countryCode = "DE" } = changes;
  return {
    keys: { book: `${saga}:book`, cancel: `${saga}:book:undo` },
    request: {
      orderId: newId("order"),
      customerId: newId("user"),
      destination: { name: "Ada Lovelace", line1: "Chausseestr. 1", city: "Berlin", postalCode, countryCode },
      serviceLevel: ServiceLevel.EXPRESS,
      pieces: 3,
    },
  };
}

/** A checkout of that kind. */
export type Checkout = ReturnType<typeof aCheckout>;

/** Books a checkout's shipment and answers it. */
export async function booked({ orders }: Harness, { request, keys }: Checkout) {
  const { shipment } = await orders.bookShipment(request, { idempotencyKey: keys.book });
  if (!shipment) throw new Error("a booking was answered without a shipment");
  return shipment;
}

/** A request to the carrier itself, past shipping. */
export async function askCarrier({ carrierUrl }: Pick<Harness, "carrierUrl">, path: string, method = "GET") {
  const answer = await fetch(carrierUrl + path, {
    method,
    headers: { authorization: `Bearer ${carrierKey}` },
  });
  return await answer.text();
}

/** What the carrier did for a checkout, oldest first. */
export async function carrierDid(
  harness: Pick<Harness, "carrierUrl">,
  { request }: Checkout,
): Promise<string[]> {
  const lines = (await askCarrier(harness, `/sandbox/ledger?reference=${request.orderId}`)).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line).kind);
}

/** Names of the events announced about a shipment, oldest first. */
export async function eventsOf({ service }: Harness, shipmentId: string): Promise<string[]> {
  return await announcedInOrder(service.db, shipmentId);
}

const selectRow = statement(
  "test-shipment-by-key",
  "select shipment_id, status, destination, carrier_reference from shipments where book_key = $1",
);

/** The row under a booking's key. */
export async function rowOf({ service }: Harness, { keys }: Checkout) {
  const [row] = await service.db.query<{
    shipment_id: string;
    status: string;
    destination: object | null;
    carrier_reference: string | null;
  }>(selectRow, [keys.book]);
  return row;
}
