import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ShipmentStatus } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { eventually } from "#kit/testing/testing.ts";
import {
  aCheckout,
  askCarrier,
  booked,
  type Checkout,
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

const cancel = ({ request: { orderId }, keys }: Checkout, idempotencyKey = keys.cancel) =>
  shipping.orders.cancelShipment({ orderId, bookKey: keys.book }, { idempotencyKey });

/** Whether a parcel is still on its way for a checkout. */
async function isUnderWay(checkout: Checkout) {
  const did = await carrierDid(shipping, checkout);
  return did.includes("booked") && !did.includes("canceled");
}

test("a cancelled parcel stays where it is, and that is announced once however often it is cancelled", async () => {
  const checkout = aCheckout();
  const { shipmentId } = await booked(shipping, checkout);
  const answers = [
    await cancel(checkout),
    await cancel(checkout),
    await cancel(checkout, `${newId("saga")}:undo`),
  ];
  for (const { shipment } of answers)
    expect(shipment).toMatchObject({ shipmentId, status: ShipmentStatus.CANCELLED });
  expect(await carrierDid(shipping, checkout)).toEqual(["booked", "canceled"]);
  expect(await eventsOf(shipping, shipmentId)).toEqual(["ShipmentBooked", "ShipmentCancelled"]);
});

describe("a cancellation that comes before its booking", () => {
  test("answers that nothing had been asked for, and refuses the late one without asking the carrier", async () => {
    const checkout = aCheckout();
    expect((await cancel(checkout)).shipment).toBeUndefined();
    await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
    expect(await carrierDid(shipping, checkout)).toEqual([]);
    const shipmentId = (await rowOf(shipping, checkout))?.shipment_id ?? "";
    await expect(
      shipping.customer(checkout.request.customerId).getShipment({ shipmentId }),
    ).rejects.toMatchObject({ reason: "SHIPMENT_NOT_FOUND" });
  });

  test("refuses it 25 hours later too", async () => {
    const checkout = aCheckout();
    await cancel(checkout);
    await shipping.service.passADay();
    await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
    expect(await carrierDid(shipping, checkout)).toEqual([]);
  });
});

describe("a cancellation while nobody knows the outcome", () => {
  test("finds the parcel whose booking was never answered, and cancels it", async () => {
    const checkout = aCheckout({ postalCode: "TIMEOUT" });
    await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    const { shipment } = await cancel(checkout);
    expect(shipment?.status).toBe(ShipmentStatus.CANCELLED);
    expect(await carrierDid(shipping, checkout)).toEqual(["booked", "canceled"]);
    await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });
  });

  test.each(Array.from({ length: 8 }, (_, index) => index))(
    "and the booking is on its way leaves no parcel, race %i",
    async (index) => {
      const checkout = aCheckout({ postalCode: index % 2 === 0 ? "10115" : "SLOW" });
      const booking = booked(shipping, checkout).catch((error) => error.reason);
      // Half of the cancellations wait until the booking is recorded as intended, the other half may come first.
      if (index >= 4) await eventually(async () => expect(await rowOf(shipping, checkout)).toBeDefined());
      await Promise.all([booking, eventually(() => cancel(checkout))]);
      expect(await isUnderWay(checkout)).toBe(false);
      // Where the booking was answered before the cancellation came, that answer stays remembered.
      const late = await booked(shipping, checkout).then(
        () => "remembered answer",
        (error) => error.reason,
      );
      expect(["COMMAND_CANCELLED", "remembered answer"]).toContain(late);
      expect(await isUnderWay(checkout)).toBe(false);
      expect([undefined, ShipmentStatus.CANCELLED]).toContain((await cancel(checkout)).shipment?.status);
    },
  );
});

test("a parcel that has left cannot be cancelled", async () => {
  const checkout = aCheckout();
  const { shipmentId } = await booked(shipping, checkout);
  const reference = (await rowOf(shipping, checkout))?.carrier_reference;
  await askCarrier(shipping, `/sandbox/shipments/${reference}/advance`, "POST");
  const dispatched = expect.objectContaining({ reason: "SHIPMENT_ALREADY_DISPATCHED" });
  await expect(cancel(checkout)).rejects.toEqual(dispatched);
  await expect(cancel(checkout)).rejects.toEqual(dispatched);
  const { shipment } = await shipping.customer(checkout.request.customerId).getShipment({ shipmentId });
  expect(shipment?.status).toBe(ShipmentStatus.BOOKED);
});

test("cancelling a refused shipment leaves it refused", async () => {
  const checkout = aCheckout({ postalCode: "REFUSE" });
  await expect(booked(shipping, checkout)).rejects.toMatchObject({ reason: "ADDRESS_REFUSED" });
  expect((await cancel(checkout)).shipment?.status).toBe(ShipmentStatus.REFUSED);
});

test("a key of another order's shipment cancels nothing", async () => {
  const [mine, other] = [aCheckout(), aCheckout()];
  await booked(shipping, mine);
  await expect(
    shipping.orders.cancelShipment(
      { orderId: other.request.orderId, bookKey: mine.keys.book },
      { idempotencyKey: other.keys.cancel },
    ),
  ).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
  expect((await rowOf(shipping, mine))?.status).toBe("BOOKED");
});
