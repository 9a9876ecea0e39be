import { afterAll, beforeAll, expect, test } from "vitest";
import { Availability } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { StockLowSchema, StockReplenishedSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openShop, type Shop } from "./shop.ts";

let shop: Shop;
let categoryId: string;

beforeAll(async () => {
  shop = await openShop();
  categoryId = await shop.addCategory("tea");
});
afterAll(() => shop.close());

const low = (sku: string, aggregateVersion: number) =>
  shop.foreign.publish(StockLowSchema, [{ message: { sku, available: 1 }, aggregateVersion }]);
const replenished = (sku: string, aggregateVersion: number) =>
  shop.foreign.publish(StockReplenishedSchema, [{ message: { sku, available: 9 }, aggregateVersion }]);

const isNow = (productId: string, availability: Availability) =>
  eventually(async () => {
    const { product } = await shop.visitor.getProduct({ productId });
    expect(product?.availability).toBe(availability);
  });

test("a product follows what inventory announces about its SKU, though it is cached", async () => {
  const { productId, availability } = await shop.addProduct({ sku: "FOLLOW-1", categoryId });
  expect(availability).toBe(Availability.LOW);
  await replenished("FOLLOW-1", 1);
  await isNow(productId, Availability.IN_STOCK);
  await low("FOLLOW-1", 2);
  await isNow(productId, Availability.LOW);
});

test("news of a SKU that comes before its product is not lost", async () => {
  await replenished("EARLY-1", 1);
  const witness = await shop.addProduct({ sku: "WITNESS-1", categoryId });
  await replenished("WITNESS-1", 1);
  await isNow(witness.productId, Availability.IN_STOCK);
  const product = await shop.addProduct({ sku: "EARLY-1", categoryId });
  expect(product.availability).toBe(Availability.IN_STOCK);
});

test("old news that comes late changes nothing", async () => {
  const { productId } = await shop.addProduct({ sku: "ORDER-1", categoryId });
  const witness = await shop.addProduct({ sku: "ORDER-2", categoryId });
  await replenished("ORDER-1", 7);
  await isNow(productId, Availability.IN_STOCK);
  await low("ORDER-1", 6);
  await replenished("ORDER-2", 1);
  await isNow(witness.productId, Availability.IN_STOCK);
  await isNow(productId, Availability.IN_STOCK);
});

test("how much is left is no change of the product itself", async () => {
  const { productId } = await shop.addProduct({ sku: "QUIET-1", categoryId });
  await replenished("QUIET-1", 1);
  await isNow(productId, Availability.IN_STOCK);
  expect((await shop.visitor.getProduct({ productId })).product?.version).toBe(1n);
  expect((await shop.eventsOf(productId)).map(({ type }) => type)).toEqual(["ProductCreated"]);
});
