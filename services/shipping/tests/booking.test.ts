import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ShipmentStatus } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import {
  aCheckout,
  askCarrier,
  booked,
  carrierDid,
  eventsOf,
  type Harness,
  rowOf,
  startShipping,
} from "./harness.ts";

let shipping: Harness;

beforeAll(async () => {
  shipping = await startShipping();
});

afterAll(() => shipping?.stop());

test("a parcel is booked with the carrier, once, and announced", async () => {
  const checkout = aCheckout();
  const shipment = await booked(shipping, checkout);
  const { orderId, customerId, serviceLevel } = checkout.request;
  expect(shipment).toMatchObject({ orderId, customerId, serviceLevel, status: ShipmentStatus.BOOKED });
  expect(shipment.trackingNumber).toMatch(/^SK/);
  expect(await carrierDid(shipping, checkout)).toEqual(["booked"]);
  expect(await eventsOf(shipping, shipment.shipmentId)).toEqual(["ShipmentBooked"]);
});

test("the recipient's address is forgotten as soon as the carrier has it", async () => {
  const checkout = aCheckout();
  await booked(shipping, checkout);
  expect((await rowOf(shipping, checkout))?.destination).toBeNull();
});

test("an address the carrier refuses is refused for good, and its refusal is recorded", async () => {
  const checkout = aCheckout({ postalCode: "REFUSE" });
  await expect(booked(shipping, checkout)).rejects.toMatchObject({
    reason: "ADDRESS_REFUSED",
    domain: "shipping.souk",
  });
  await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "ADDRESS_REFUSED" });
  expect(await rowOf(shipping, checkout)).toMatchObject({ status: "REFUSED", destination: null });
  expect(await carrierDid(shipping, checkout)).toEqual(["refused"]);
});

test("a country the shop does not serve is refused without asking the carrier", async () => {
  const checkout = aCheckout({ countryCode: "KP" });
  await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "COUNTRY_NOT_SERVED" });
  expect(await carrierDid(shipping, checkout)).toEqual([]);
});

describe("a repeated booking", () => {
  test("gets the first answer, also 25 hours later", async () => {
    const checkout = aCheckout();
    const first = await booked(shipping, checkout);
    expect(await booked(shipping, checkout)).toEqual(first);
    await shipping.service.passADay();
    expect((await booked(shipping, checkout)).shipmentId).toBe(first.shipmentId);
    expect(await carrierDid(shipping, checkout)).toEqual(["booked"]);
    expect(await eventsOf(shipping, first.shipmentId)).toEqual(["ShipmentBooked"]);
  });

  test("20 at once are one parcel", async () => {
    const checkout = aCheckout();
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => booked(shipping, checkout)));
    const reasons = outcomes
      .filter((outcome) => outcome.status === "rejected")
      .map(({ reason }) => reason.reason);
    expect(new Set(reasons).difference(new Set(["IDEMPOTENCY_KEY_IN_USE"]))).toEqual(new Set());
    const shipment = await booked(shipping, checkout);
    expect(await carrierDid(shipping, checkout)).toEqual(["booked"]);
    expect(await eventsOf(shipping, shipment.shipmentId)).toEqual(["ShipmentBooked"]);
  });

  test("with another request under its key is refused, also 25 hours later", async () => {
    const checkout = aCheckout();
    await booked(shipping, checkout);
    const other = { ...checkout, request: { ...checkout.request, pieces: 4 } };
    await expect(booked(shipping, other)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    await shipping.service.passADay();
    await expect(booked(shipping, other)).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  });

  test("after a booking whose answer never came finds that one parcel", async () => {
    const checkout = aCheckout({ postalCode: "TIMEOUT" });
    await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect((await rowOf(shipping, checkout))?.status).toBe("PENDING");
    expect((await booked(shipping, checkout)).status).toBe(ShipmentStatus.BOOKED);
    expect(await carrierDid(shipping, checkout)).toEqual(["booked"]);
  });
});

describe("a shipment", () => {
  test("is seen and followed by its customer, and is not there for others", async () => {
    const checkout = aCheckout();
    const { shipmentId, trackingNumber } = await booked(shipping, checkout);
    const reference = (await rowOf(shipping, checkout))?.carrier_reference;
    await askCarrier(shipping, `/sandbox/shipments/${reference}/advance`, "POST");
    const owner = shipping.customer(checkout.request.customerId);
    expect((await owner.getShipment({ shipmentId })).shipment?.trackingNumber).toBe(trackingNumber);
    const tracked = await owner.trackShipment({ shipmentId });
    expect(tracked.trackingNumber).toBe(trackingNumber);
    expect(tracked.events.map(({ description }) => description)).toEqual(["booked", "dispatched"]);
    expect(tracked.events.every(({ occurredAt }) => (occurredAt?.seconds ?? 0n) > 0n)).toBe(true);
    const notFound = expect.objectContaining({ reason: "SHIPMENT_NOT_FOUND" });
    const other = shipping.customer("user_other");
    await expect(other.getShipment({ shipmentId })).rejects.toEqual(notFound);
    await expect(other.trackShipment({ shipmentId })).rejects.toEqual(notFound);
    await expect(owner.getShipment({ shipmentId: newId("shipment") })).rejects.toEqual(notFound);
  });

  test("the carrier has not accepted has no history", async () => {
    const checkout = aCheckout({ postalCode: "REFUSE" });
    await expect(booked(shipping, checkout)).rejects.toBeDefined();
    const shipmentId = (await rowOf(shipping, checkout))?.shipment_id ?? "";
    const tracked = await shipping.customer(checkout.request.customerId).trackShipment({ shipmentId });
    expect(tracked).toMatchObject({ trackingNumber: "", events: [] });
  });
});

test("anybody may ask what shipping costs; standard unless express is asked for", async () => {
  const guest = shipping.customer("user_guest");
  const { price, days } = await guest.quoteShipping({ countryCode: "AT" });
  expect(price).toMatchObject({ currencyCode: "EUR", amountMinor: 990n });
  expect(days).toBe(5);
  await expect(guest.quoteShipping({ countryCode: "KP" })).rejects.toMatchObject({
    reason: "COUNTRY_NOT_SERVED",
  });
  await expect(guest.quoteShipping({ countryCode: "at" })).rejects.toMatchObject({
    reason: "VALIDATION_FAILED",
  });
});

test("only services that run checkouts may book", async () => {
  const { request, keys } = aCheckout();
  await expect(
    shipping.customer("user_x").bookShipment(request, { idempotencyKey: keys.book }),
  ).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
});
