import { expect, test } from "vitest";
import { availablePieces, crossedThreshold } from "./stock.ts";

const change = (before: number, after: number) =>
  crossedThreshold({
    sku: "TEA-1",
    available: after,
    availableDelta: after - before,
    lowThreshold: 5,
    version: 1n,
  });

test("a SKU is low once fewer pieces than its threshold are available", () => {
  expect(change(6, 5)).toBeUndefined();
  expect(change(5, 4)).toBe("low");
  expect(change(40, 0)).toBe("low");
});

test("a SKU that is low already does not become low again", () => {
  expect(change(4, 3)).toBeUndefined();
  expect(change(3, 4)).toBeUndefined();
});

test("a SKU is replenished once its threshold is reached again", () => {
  expect(change(4, 5)).toBe("replenished");
  expect(change(0, 100)).toBe("replenished");
  expect(change(5, 6)).toBeUndefined();
});

test("what is set aside is not available", () => {
  expect(availablePieces({ sku: "TEA-1", onHand: 10, reserved: 4, updatedAt: new Date(0) })).toBe(6);
});
