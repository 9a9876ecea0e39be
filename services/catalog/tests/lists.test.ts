import { afterAll, beforeAll, expect, test } from "vitest";
import { freshKey, openShop, type Shop } from "./shop.ts";

let shop: Shop;
let tea: string;
let coffee: string;

beforeAll(async () => {
  shop = await openShop();
  tea = await shop.addCategory("tea");
  coffee = await shop.addCategory("coffee");
  for (let n = 0; n < 25; n += 1)
    await shop.addProduct({ sku: `TEA-${n}`, name: `Green tea ${n}`, categoryId: tea });
  await shop.addProduct({
    sku: "CUP-1",
    name: "Porcelain cup",
    description: "Holds green tea, and coffee too",
    categoryId: coffee,
  });
});
afterAll(() => shop.close());

const refused = expect.objectContaining({ reason: "PAGE_TOKEN_INVALID" });

type Page = { products: { sku: string }[]; nextPageToken: string };

/** Follows the pages to their end. */
async function readAll(read: (pageToken: string) => Promise<Page>) {
  const sizes: number[] = [];
  const skus: string[] = [];
  let pageToken = "";
  do {
    const page = await read(pageToken);
    sizes.push(page.products.length);
    skus.push(...page.products.map(({ sku }) => sku));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return { sizes, skus };
}

test("products are listed newest first, 20 a page where no number is named", async () => {
  const { sizes, skus } = await readAll((pageToken) =>
    shop.visitor.listProducts({ categoryId: tea, pageToken }),
  );
  expect(sizes).toEqual([20, 5]);
  expect(skus[0]).toBe("TEA-24");
  expect(skus).toEqual(Array.from({ length: 25 }, (_, n) => `TEA-${24 - n}`));
});

test("a page that is full to the end has no next one", async () => {
  const { sizes } = await readAll((pageToken) =>
    shop.visitor.listProducts({ categoryId: tea, pageSize: 5, pageToken }),
  );
  expect(sizes).toEqual([5, 5, 5, 5, 5]);
});

test("what is added while somebody turns pages neither repeats nor skips a product", async () => {
  const first = await shop.visitor.listProducts({ pageSize: 13 });
  const added = await shop.addProduct({ sku: "LATE-1", name: "Tray", categoryId: coffee });
  const rest = await readAll((pageToken) =>
    shop.visitor.listProducts({ pageSize: 13, pageToken: pageToken || first.nextPageToken }),
  );
  const skus = [...first.products.map(({ sku }) => sku), ...rest.skus];
  expect(skus).toEqual(["CUP-1", ...Array.from({ length: 25 }, (_, n) => `TEA-${24 - n}`)]);
  await shop.staff.archiveProduct({ productId: added.productId }, freshKey());
});

test("a name counts more than a description", async () => {
  const { products } = await shop.visitor.searchProducts({ query: "coffee or porcelain or tea" });
  expect(products[0]?.sku).toBe("CUP-1");
  const found = await readAll((pageToken) => shop.visitor.searchProducts({ query: "green tea", pageToken }));
  expect(found.skus).toHaveLength(26);
  expect(found.skus.at(-1)).toBe("CUP-1");
});

test("search pages neither repeat nor skip a match, whatever the size", async () => {
  for (const pageSize of [1, 7, 26, 100]) {
    const { skus } = await readAll((pageToken) =>
      shop.visitor.searchProducts({ query: "teas", pageSize, pageToken }),
    );
    expect(new Set(skus).size).toBe(26);
    expect(skus).toHaveLength(26);
  }
});

test("words can be quoted, joined by or, and excluded", async () => {
  const skus = async (query: string) =>
    (await shop.visitor.searchProducts({ query })).products.map(({ sku }) => sku);
  expect(await skus('"porcelain cup"')).toEqual(["CUP-1"]);
  expect(await skus('"cup porcelain"')).toEqual([]);
  expect(await skus("tea porcelain")).toEqual(["CUP-1"]);
  expect(await skus("green -coffee")).toHaveLength(20);
  expect(await skus("green -tea")).toEqual([]);
});

test.each([
  "'; drop table products; --",
  "%' or '1'='1",
  "\\",
  '"',
  '"""',
  "((((",
  "a & | ! <-> b",
  ":*",
  "tea:*",
  "-",
  "- - -",
  "the",
  "🫖",
  "\u0001\ufffd",
  "*".repeat(200),
  "or ".repeat(66),
])("%j is searched for like any other text", async (query) => {
  const { products } = await shop.visitor.searchProducts({ query });
  expect(products.length).toBeLessThanOrEqual(20);
  expect((await shop.visitor.listProducts({})).products).toHaveLength(20);
});

test("a page token that was forged, or is of another list or filter, is refused", async () => {
  const { nextPageToken: ofTea } = await shop.visitor.listProducts({ categoryId: tea });
  const { nextPageToken: ofSearch } = await shop.visitor.searchProducts({ query: "tea" });
  expect(ofTea).not.toBe("");
  expect(ofSearch).not.toBe("");
  await expect(shop.visitor.listProducts({ pageToken: ofTea })).rejects.toEqual(refused);
  await expect(shop.visitor.listProducts({ categoryId: coffee, pageToken: ofTea })).rejects.toEqual(refused);
  await expect(shop.visitor.searchProducts({ query: "teas", pageToken: ofSearch })).rejects.toEqual(refused);
  await expect(shop.visitor.searchProducts({ query: "tea", pageToken: ofTea })).rejects.toEqual(refused);
  for (const pageToken of ["x", "bnVsbA", ofTea.toLowerCase(), ofTea.slice(1), "\u0000"]) {
    await expect(shop.visitor.listProducts({ categoryId: tea, pageToken })).rejects.toEqual(refused);
  }
});

test.each([-1, 101])("a page of %i products is not valid", async (pageSize) => {
  const invalid = expect.objectContaining({ reason: "VALIDATION_FAILED" });
  await expect(shop.visitor.listProducts({ pageSize })).rejects.toEqual(invalid);
});
