import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeLines } from "./reservation.ts";

test("two lines of one SKU are one line with the pieces of both", () => {
  const lines = [
    { sku: "B", quantity: 1 },
    { sku: "A", quantity: 2 },
    { sku: "B", quantity: 3 },
  ];
  expect(mergeLines(lines)).toEqual([
    { sku: "A", quantity: 2 },
    { sku: "B", quantity: 4 },
  ]);
});

const anyLines = fc.array(
  fc.record({
    sku: fc.constantFrom("A", "A-1", "B", "B0", "Z9"),
    quantity: fc.integer({ min: 1, max: 100_000 }),
  }),
  { minLength: 1, maxLength: 50 },
);

test("whatever the order of the lines, SKUs come in one order, once each, and no piece is lost", () => {
  fc.assert(
    fc.property(anyLines, (lines) => {
      const merged = mergeLines(lines);
      const skus = merged.map((line) => line.sku);
      expect(skus).toEqual([...new Set(lines.map((line) => line.sku))].sort());
      const pieces = (of: readonly { quantity: number }[]) =>
        of.reduce((sum, { quantity }) => sum + quantity, 0);
      expect(pieces(merged)).toBe(pieces(lines));
    }),
  );
});
