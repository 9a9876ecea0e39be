import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import {
  aCheckout,
  askCarrier,
  booked,
  type Checkout,
  type Harness,
  rowOf,
  startShipping,
} from "./harness.ts";

let shipping: Harness;

beforeAll(async () => {
  shipping = await startShipping();
});

afterAll(() => shipping?.stop());

async function hasLeft(shipmentId: string) {
  return (await shipping.orders.checkDispatch({ shipmentId })).dispatched;
}

async function collect(checkout: Checkout) {
  const reference = (await rowOf(shipping, checkout))?.carrier_reference;
  await askCarrier(shipping, `/sandbox/shipments/${reference}/advance`, "POST");
}

test("a parcel has left once the carrier has collected it", async () => {
  const checkout = aCheckout();
  const { shipmentId } = await booked(shipping, checkout);
  expect(await hasLeft(shipmentId)).toBe(false);
  await collect(checkout);
  expect(await hasLeft(shipmentId)).toBe(true);
});

test("a cancelled parcel has not left", async () => {
  const checkout = aCheckout();
  const { shipmentId } = await booked(shipping, checkout);
  const { orderId } = checkout.request;
  const cancellation = { orderId, bookKey: checkout.keys.book };
  await shipping.orders.cancelShipment(cancellation, { idempotencyKey: checkout.keys.cancel });
  expect(await hasLeft(shipmentId)).toBe(false);
});

test("of a shipment that nobody booked nothing is told", async () => {
  await expect(hasLeft(newId("shipment"))).rejects.toMatchObject({ reason: "SHIPMENT_NOT_FOUND" });
});

test("a customer is not told by this door", async () => {
  const { shipmentId } = await booked(shipping, aCheckout());
  await expect(shipping.customer("user_1").checkDispatch({ shipmentId })).rejects.toMatchObject({
    reason: "SCOPE_MISSING",
  });
});
