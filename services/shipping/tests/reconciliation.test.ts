import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { newId } from "#kit/ids/ids.ts";
import { openReconciling, type Reconciling } from "#kit/testing/reconciling.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { deadlineIn } from "#kit/time/time.ts";
import type { Carrier } from "../carrier.ts";
import { createParcelCarrier } from "../parcel-carrier.ts";
import {
  aCheckout,
  askCarrier,
  booked,
  type Checkout,
  carrierKey,
  type Harness,
  rowOf,
  startShipping,
} from "./harness.ts";

let harness: Harness;
let reconciling: Reconciling;
let carrier: Carrier;

beforeAll(async () => {
  harness = await startShipping();
  reconciling = openReconciling(harness.service, "shipping");
  const key = new Secret(carrierKey);
  carrier = createParcelCarrier({ url: harness.carrierUrl, key, timeoutMs: 5_000 });
});
afterAll(async () => {
  carrier?.close();
  await harness?.stop();
});

const ours = "shipments-with-carrier";
const theirs = "carrier-with-shipments";
const soon = () => deadlineIn(5_000);
const set = (shipmentId: string, change: string) =>
  runSql(
    harness.service.database.ownerUrl,
    `update shipments set ${change} where shipment_id = '${shipmentId}'`,
  );
const cancel = ({ request: { orderId }, keys }: Checkout) =>
  harness.orders.cancelShipment({ orderId, bookKey: keys.book }, { idempotencyKey: keys.cancel });
const cancelPast = (reference: string) => askCarrier(harness, `/v1/shipments/${reference}/cancel`, "POST");

/** A booking past the shop, in the shop's account; answers its reference. */
async function bookPast(orderId: string, key = newId("key")): Promise<string> {
  const destination = { name: "A", line1: "B", line2: "", city: "C", postalCode: "10115", countryCode: "DE" };
  const booking = { key, orderId, destination, serviceLevel: "STANDARD", parcelGrams: [500] } as const;
  const truth = await carrier.book(booking, soon());
  return truth.standing === "refused" ? "" : truth.reference;
}

async function aBooking() {
  const checkout = aCheckout();
  const { shipmentId } = await booked(harness, checkout);
  return { checkout, shipmentId, reference: (await rowOf(harness, checkout))?.carrier_reference ?? "" };
}

test("parcels that were booked, refused, cancelled, or cancelled before they were booked agree on both sides", async () => {
  await expect(booked(harness, aCheckout({ postalCode: "REFUSE" }))).rejects.toThrow();
  await cancel((await aBooking()).checkout);
  await cancel(aCheckout());
  const { reference } = await aBooking();
  await askCarrier(harness, `/sandbox/shipments/${reference}/advance`, "POST");
  // More than one page of the carrier's list.
  for (let n = 0; n < 21; n += 1) await aBooking();
  expect(await reconciling.run("all")).toEqual([]);
  // Listed by time, or, where the shop's clock says another one, asked for one by one.
  await harness.service.shiftClock(3 * 60 * 60 * 1_000);
  await aBooking();
  expect(await reconciling.run("all")).toEqual([]);
  await harness.service.shiftClock(0);
});

describe("a shipment that the carrier knows otherwise", () => {
  test("because it was cancelled past the shop is found, announced once, counted, and settled when the shop hears of it", async () => {
    const { checkout, shipmentId, reference } = await aBooking();
    await cancelPast(reference);
    expect(await reconciling.run(ours, { graceMs: 60_000 })).toEqual([]);
    const finding = { subjectId: shipmentId, detail: "it is BOOKED here, cancelled there" };
    expect(await reconciling.run(ours)).toEqual([finding]);
    expect(await reconciling.run(ours)).toEqual([finding]);
    expect(await reconciling.listed()).toEqual([`${ours} ${shipmentId}`]);
    expect(await reconciling.announced(shipmentId)).toBe(1);
    expect(await reconciling.gauge(ours)).toBe(1);
    await cancel(checkout);
    expect(await reconciling.run(ours)).toEqual([]);
    expect(await reconciling.gauge(ours)).toBe(0);
  });

  test("because it was cancelled here alone is found, and settled when it is cancelled there", async () => {
    const { shipmentId, reference } = await aBooking();
    await set(shipmentId, "status = 'CANCELLED'");
    const finding = { subjectId: shipmentId, detail: "it is CANCELLED here, booked there" };
    expect(await reconciling.run(ours)).toEqual([finding]);
    await cancelPast(reference);
    expect(await reconciling.run("all")).toEqual([]);
  });

  test("for another order is found until it is mended, on both sides", async () => {
    const { checkout, shipmentId, reference } = await aBooking();
    const [own, other] = [checkout.request.orderId, newId("order")];
    await set(shipmentId, `order_id = '${other}'`);
    const detail = `it is for ${other} here, for ${own} there`;
    expect(await reconciling.run(ours)).toEqual([{ subjectId: shipmentId, detail }]);
    const stranger = {
      subjectId: reference,
      detail: `it is booked there for ${own}, for no shipment of ours`,
    };
    expect(await reconciling.run(theirs)).toEqual([stranger]);
    await set(shipmentId, `order_id = '${own}'`);
    expect(await reconciling.run("all")).toEqual([]);
  });

  test("not at all is found until it is mended", async () => {
    const { shipmentId, reference } = await aBooking();
    await set(shipmentId, "carrier_reference = 'shp_lost'");
    const lost = { subjectId: shipmentId, detail: "the carrier does not know shp_lost" };
    expect(await reconciling.run(ours)).toEqual([lost]);
    await set(shipmentId, `carrier_reference = '${reference}'`);
    expect(await reconciling.run("all")).toEqual([]);
  });
});

describe("a parcel that the shop does not know", () => {
  test("is found, and settled when it is cancelled", async () => {
    const orderId = newId("order");
    const since = new Date();
    const reference = await bookPast(orderId);
    const detail = `it is booked there for ${orderId}, for no shipment of ours`;
    expect(await reconciling.run(theirs, { since })).toEqual([{ subjectId: reference, detail }]);
    await cancelPast(reference);
    expect(await reconciling.run(theirs, { since: new Date() })).toEqual([]);
  });

  test("is found where an order's parcel was booked twice, and where its booking had been cancelled before it came", async () => {
    const { checkout } = await aBooking();
    const early = aCheckout();
    await cancel(early);
    const details: string[] = [];
    const references: string[] = [];
    for (const { orderId } of [checkout.request, early.request]) {
      references.push(await bookPast(orderId));
      details.push(`it is booked there for ${orderId}, for no shipment of ours`);
    }
    const found = await reconciling.run(theirs);
    expect(found.map(({ detail }) => detail).sort()).toEqual(details.sort());
    for (const reference of references) await cancelPast(reference);
    expect(await reconciling.run(theirs)).toEqual([]);
  });

  test("because its answer never came is left alone while it is under way, then found, and settled by the repeat", async () => {
    const checkout = aCheckout({ postalCode: "TIMEOUT" });
    await expect(booked(harness, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect(await reconciling.run("all", { graceMs: 60_000 })).toEqual([]);
    const pending = await rowOf(harness, checkout);
    const detail = `it is booked there for ${pending?.shipment_id}, which is PENDING here`;
    expect((await reconciling.run("all")).map((finding) => finding.detail)).toEqual([detail]);
    await booked(harness, checkout);
    expect(await reconciling.run("all")).toEqual([]);
  });
});

test("a carrier that is away has no empty books: what it has is unknown", async () => {
  const nobody = createParcelCarrier({ url: "http://127.0.0.1:1", key: new Secret("key"), timeoutMs: 500 });
  const listing = Array.fromAsync(nobody.list({ from: undefined, to: undefined }, soon()));
  await expect(listing).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  await expect(nobody.look("shp_1", soon())).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  nobody.close();
});
