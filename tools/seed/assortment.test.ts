import { expect, test } from "vitest";
import { SEED_CATEGORIES, SEED_PRODUCTS } from "./assortment.ts";

test("the shop has 200 products in 12 categories", () => {
  expect(SEED_PRODUCTS).toHaveLength(200);
  expect(SEED_CATEGORIES).toHaveLength(12);
  const filled = new Set(SEED_PRODUCTS.map(({ categorySlug }) => categorySlug));
  expect(filled).toEqual(new Set(SEED_CATEGORIES.map(({ slug }) => slug)));
});

test("no two products share a SKU or a name", () => {
  expect(new Set(SEED_PRODUCTS.map(({ sku }) => sku)).size).toBe(200);
  expect(new Set(SEED_PRODUCTS.map(({ name }) => name)).size).toBe(200);
});

test("every product fits the contract, costs something and is in stock", () => {
  for (const { sku, name, description, priceMinor, stock } of SEED_PRODUCTS) {
    expect(sku).toMatch(/^[A-Z0-9][A-Z0-9-]{0,39}$/);
    expect(name.length).toBeLessThanOrEqual(200);
    expect(description).not.toBe("");
    expect(Number.isInteger(priceMinor) && priceMinor > 0).toBe(true);
    expect(stock).toBeGreaterThanOrEqual(250);
  }
});

test("a dearer finish of the same thing never costs less", () => {
  const lamps = SEED_PRODUCTS.filter(({ name }) => name.startsWith("Mosaic Table Lamp"));
  const prices = lamps.map(({ priceMinor }) => priceMinor);
  expect(prices).toHaveLength(4);
  expect(prices).toEqual([...prices].sort((a, b) => a - b));
});
