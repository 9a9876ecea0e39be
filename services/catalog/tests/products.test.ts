import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ProductStatus } from "#gen/souk/catalog/v1/catalog_pb.ts";
import {
  PriceChangedSchema,
  ProductCreatedSchema,
  ProductUpdatedSchema,
} from "#gen/souk/catalog/v1/events_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { freshKey, openShop, type Shop } from "./shop.ts";

let shop: Shop;
let categoryId: string;

beforeAll(async () => {
  shop = await openShop();
  categoryId = await shop.addCategory("tea");
});
afterAll(() => shop.close());

const reason = (name: string) => expect.objectContaining({ reason: name });
const violating = (field: string) =>
  expect.objectContaining({ reason: "VALIDATION_FAILED", violations: [expect.objectContaining({ field })] });

const update = (productId: string, product: object, paths: string[], expectedVersion = 0n) =>
  shop.staff.updateProduct({ productId, product, updateMask: { paths }, expectedVersion }, freshKey());

test("a new product is on sale, and announced as it is", async () => {
  const price = { currencyCode: "JPY", amountMinor: 4_200n };
  const product = await shop.addProduct({
    sku: "NEW-1",
    name: "Kyusu",
    description: "Clay",
    categoryId,
    price,
  });
  expect(product).toMatchObject({
    sku: "NEW-1",
    name: "Kyusu",
    description: "Clay",
    categoryId,
    version: 1n,
  });
  expect(product).toMatchObject({ status: ProductStatus.ACTIVE, price });
  expect(await shop.visitor.getProduct({ productId: product.productId })).toMatchObject({ product });
  const [event, ...more] = await shop.eventsOf(product.productId);
  expect([event?.type, event?.version, more]).toEqual(["ProductCreated", 1, []]);
  expect(fromBinary(ProductCreatedSchema, event?.payload ?? Buffer.of()).product).toEqual(product);
});

test("a product that is asked for twice under one key is added once", async () => {
  const key = newId("key");
  const price = { currencyCode: "EUR", amountMinor: 1n };
  const ask = () =>
    shop.staff.createProduct({ sku: "ONCE-1", name: "Cup", categoryId, price }, { idempotencyKey: key });
  const [first, second] = [await ask(), await ask()];
  expect(second).toEqual(first);
});

test("a SKU and a slug belong to whoever had them first", async () => {
  await shop.addProduct({ sku: "TAKEN-1", categoryId });
  await expect(shop.addProduct({ sku: "TAKEN-1", categoryId })).rejects.toEqual(reason("SKU_TAKEN"));
  await expect(shop.addCategory("tea")).rejects.toEqual(reason("SLUG_TAKEN"));
});

test("a product needs a category that exists", async () => {
  const elsewhere = newId("category");
  await expect(shop.addProduct({ categoryId: elsewhere })).rejects.toEqual(reason("CATEGORY_NOT_FOUND"));
  const { productId } = await shop.addProduct({ categoryId });
  const moved = update(productId, { categoryId: elsewhere }, ["category_id"]);
  await expect(moved).rejects.toEqual(reason("CATEGORY_NOT_FOUND"));
});

test("categories are listed by name", async () => {
  await shop.addCategory("coffee");
  await shop.addCategory("zest");
  const { categories } = await shop.visitor.listCategories({});
  expect(categories.map(({ name }) => name)).toEqual(["COFFEE", "TEA", "ZEST"]);
});

test("a new price is announced with the old one, and seen at once", async () => {
  const { productId } = await shop.addProduct({ categoryId });
  await shop.visitor.getProduct({ productId });
  await update(productId, { price: { currencyCode: "EUR", amountMinor: 2_499n } }, ["price"]);
  const [, event] = await shop.eventsOf(productId);
  expect([event?.type, event?.version]).toEqual(["PriceChanged", 2]);
  expect(fromBinary(PriceChangedSchema, event?.payload ?? Buffer.of())).toMatchObject({
    productId,
    oldPrice: { currencyCode: "EUR", amountMinor: 1_999n },
    newPrice: { currencyCode: "EUR", amountMinor: 2_499n },
  });
  const { product } = await shop.visitor.getProduct({ productId });
  expect(product).toMatchObject({ version: 2n, price: { amountMinor: 2_499n } });
  const { products } = await shop.orders.batchGetProducts({ productIds: [productId] });
  expect(products[0]).toEqual(product);
});

test("only the fields that the mask names change", async () => {
  const { productId } = await shop.addProduct({ name: "Cup", description: "Small", categoryId });
  const asked = { name: "Mug", description: "Large", price: { currencyCode: "USD", amountMinor: 1n } };
  const { product } = await update(productId, asked, ["name"]);
  expect(product).toMatchObject({
    name: "Mug",
    description: "Small",
    price: { amountMinor: 1_999n },
    version: 2n,
  });
  const [, event] = await shop.eventsOf(productId);
  expect(event?.type).toBe("ProductUpdated");
  expect(fromBinary(ProductUpdatedSchema, event?.payload ?? Buffer.of()).product).toEqual(product);
});

test("a change that changes nothing is answered and not announced", async () => {
  const product = await shop.addProduct({ categoryId });
  expect((await update(product.productId, { name: product.name }, ["name"])).product).toEqual(product);
  expect(await shop.eventsOf(product.productId)).toHaveLength(1);
});

test.each([
  ["nothing", []],
  ["the SKU", ["sku"]],
  ["a field that does not exist", ["name", "colour"]],
])("a mask that names %s is refused", async (_what, paths) => {
  const { productId } = await shop.addProduct({ categoryId });
  await expect(update(productId, { name: "Mug" }, paths)).rejects.toEqual(reason("UPDATE_MASK_INVALID"));
});

test("of two changes of the same version the second is refused", async () => {
  const { productId } = await shop.addProduct({ categoryId });
  const both = await Promise.allSettled([
    update(productId, { name: "Mug" }, ["name"], 1n),
    update(productId, { name: "Jug" }, ["name"], 1n),
  ]);
  const refused = both.filter((outcome) => outcome.status === "rejected");
  expect(refused.map((outcome) => outcome.reason)).toEqual([reason("PRODUCT_CHANGED")]);
});

test("an archived product is still read, no longer sold, and never changes again", async () => {
  const { productId } = await shop.addProduct({ name: "Zarf relic", categoryId });
  await shop.orders.batchGetProducts({ productIds: [productId] });
  await shop.staff.archiveProduct({ productId, expectedVersion: 1n }, freshKey());
  expect((await shop.eventsOf(productId)).map(({ type, version }) => [type, version])).toEqual([
    ["ProductCreated", 1],
    ["ProductArchived", 2],
  ]);
  const { product } = await shop.visitor.getProduct({ productId });
  expect(product?.status).toBe(ProductStatus.ARCHIVED);
  expect((await shop.orders.batchGetProducts({ productIds: [productId] })).products).toEqual([]);
  expect((await shop.visitor.searchProducts({ query: "zarf" })).products).toEqual([]);
  const archived = reason("PRODUCT_ARCHIVED");
  await expect(update(productId, { name: "Mug" }, ["name"])).rejects.toEqual(archived);
  await expect(shop.staff.archiveProduct({ productId }, freshKey())).rejects.toEqual(archived);
});

test("a product that does not exist is not found, whatever is asked of it", async () => {
  const productId = newId("product");
  const missing = reason("PRODUCT_NOT_FOUND");
  await expect(shop.visitor.getProduct({ productId })).rejects.toEqual(missing);
  await expect(update(productId, { name: "Mug" }, ["name"])).rejects.toEqual(missing);
  await expect(shop.staff.archiveProduct({ productId }, freshKey())).rejects.toEqual(missing);
});

test("several products are read at once; unknown ones and repetitions are left out", async () => {
  const [one, two] = [await shop.addProduct({ categoryId }), await shop.addProduct({ categoryId })];
  const productIds = [two.productId, newId("product"), one.productId, two.productId, "product_\u0000", ""];
  for (const _read of ["from the database", "from the cache"]) {
    const { products } = await shop.orders.batchGetProducts({ productIds });
    expect(products).toHaveLength(2);
    expect(products).toEqual(expect.arrayContaining([one, two]));
  }
});

test("a price is in a currency that exists, and not below zero", async () => {
  const priced = (currencyCode: string, amountMinor: bigint) =>
    shop.addProduct({ categoryId, price: { currencyCode, amountMinor } });
  await expect(priced("QQQ", 1n)).rejects.toEqual(violating("price.currency_code"));
  await expect(priced("EUR", -1n)).rejects.toEqual(violating("price.amount_minor"));
});

test("text with a NUL in it, or a mark that turns its direction, is not valid", async () => {
  for (const odd of ["a\u0000b", "mug\u202egnp.exe", "\u2066mug"]) {
    await expect(shop.addProduct({ categoryId, name: odd })).rejects.toEqual(violating("name"));
    await expect(shop.visitor.searchProducts({ query: odd })).rejects.toEqual(violating("query"));
  }
  // Letters written from right to left are letters.
  expect((await shop.addProduct({ categoryId, name: "ספל" })).name).toBe("ספל");
});

test("a visitor may look and not write", async () => {
  const draft = { name: "Mug", slug: "mug" };
  await expect(shop.visitor.createCategory(draft, freshKey())).rejects.toEqual(reason("SCOPE_MISSING"));
  const asked = shop.visitor.batchGetProducts({ productIds: [newId("product")] });
  await expect(asked).rejects.toEqual(reason("SCOPE_MISSING"));
});

test("an event of a product carries the version that the product then has", async () => {
  const { productId } = await shop.addProduct({ categoryId });
  const both = { name: "Mug", price: { currencyCode: "EUR", amountMinor: 5n } };
  const { product } = await update(productId, both, ["name", "price"]);
  expect((await shop.eventsOf(productId)).map(({ type, version }) => [type, version])).toEqual([
    ["ProductCreated", 1],
    ["PriceChanged", 2],
    ["ProductUpdated", 3],
  ]);
  expect(product?.version).toBe(3n);
});
