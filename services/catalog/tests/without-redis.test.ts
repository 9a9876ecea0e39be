import { afterAll, beforeAll, expect, test } from "vitest";
import { freshKey, openShop, type Shop } from "./shop.ts";

let shop: Shop;

// Nothing listens on port 1 of the loopback address.
beforeAll(async () => {
  shop = await openShop({ env: { REDIS_URL: "redis://127.0.0.1:1" } });
});
afterAll(() => shop.close());

test("without Redis products are read, listed, found and changed, and each read is up to date", async () => {
  const categoryId = await shop.addCategory("tea");
  const { productId } = await shop.addProduct({ name: "Samovar", categoryId });
  const seen = async () => ({
    one: (await shop.visitor.getProduct({ productId })).product?.name,
    several: (await shop.orders.batchGetProducts({ productIds: [productId] })).products[0]?.name,
    listed: (await shop.visitor.listProducts({})).products[0]?.name,
    found: (await shop.visitor.searchProducts({ query: "tea samovar or mug" })).products.length,
  });
  expect(await seen()).toMatchObject({ one: "Samovar", several: "Samovar", listed: "Samovar" });
  await shop.staff.updateProduct(
    { productId, product: { name: "Mug" }, updateMask: { paths: ["name"] } },
    freshKey(),
  );
  expect(await seen()).toEqual({ one: "Mug", several: "Mug", listed: "Mug", found: 1 });
});
