import { describe, expect, test } from "vitest";
import { checkSameRequest, packParcels, type Shipment } from "./shipment.ts";

const aShipment = (changes: Partial<Shipment> = {}): Shipment => ({
  shipmentId: "shipment_1",
  orderId: "order_1",
  customerId: "user_1",
  bookKey: "saga_1:book",
  serviceLevel: "STANDARD",
  pieces: 3,
  status: "BOOKED",
  destination: undefined,
  carrierReference: "shp_1",
  trackingNumber: "SK1",
  version: 2n,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  ...changes,
});

describe("pieces are packed", () => {
  test.each([
    [1, [500]],
    [20, [10_000]],
    [21, [5_500, 5_000]],
    [41, [7_000, 7_000, 6_500]],
  ])("%i into parcels of at most ten kilograms, evenly", (pieces, grams) => {
    expect(packParcels(pieces)).toEqual(grams);
  });

  test("into no more parcels, and none heavier, than the carrier takes", () => {
    const parcels = packParcels(100_000);
    expect(parcels).toHaveLength(50);
    expect(Math.max(...parcels)).toBe(70_000);
  });
});

test.each<[string, Partial<Shipment>]>([
  ["order", { orderId: "order_2" }],
  ["customer", { customerId: "user_2" }],
  ["speed", { serviceLevel: "EXPRESS" }],
  ["number of pieces", { pieces: 4 }],
])("a key used for another %s is refused", (_what, changes) => {
  const shipment = aShipment();
  expect(() => checkSameRequest(shipment, shipment)).not.toThrow();
  expect(() => checkSameRequest(shipment, aShipment(changes))).toThrow(
    expect.objectContaining({ reason: "IDEMPOTENCY_KEY_REUSED" }),
  );
});
