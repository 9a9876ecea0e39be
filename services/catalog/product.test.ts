import { expect, test } from "vitest";
import { archiveProduct, changeProduct, checkDraft, type Product } from "./product.ts";

const aProduct = (over: Partial<Product> = {}): Product => ({
  productId: "product_01h455vb4pex5vsknk084sn02q",
  sku: "TEA-1",
  name: "Teapot",
  description: "Holds tea",
  categoryId: "category_01h455vb4pex5vsknk084sn02q",
  price: { currencyCode: "EUR", amountMinor: 1_999n },
  status: "active",
  inStock: true,
  version: 4n,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  ...over,
});

const reason = (name: string) => expect.objectContaining({ reason: name });
const violating = (field: string) =>
  expect.objectContaining({
    reason: "VALIDATION_FAILED",
    violations: [expect.objectContaining({ field })],
  });

test("another price is a change of price and of nothing else", () => {
  const { product, events } = changeProduct(aProduct(), { price: { amountMinor: 2_499n } }, 0n);
  expect(product).toEqual(aProduct({ price: { currencyCode: "EUR", amountMinor: 2_499n }, version: 5n }));
  expect(events).toEqual([
    {
      kind: "price-changed",
      oldPrice: { currencyCode: "EUR", amountMinor: 1_999n },
      newPrice: { currencyCode: "EUR", amountMinor: 2_499n },
      version: 5n,
    },
  ]);
});

test.each([{ name: "Samovar" }, { description: "Keeps tea hot" }, { categoryId: "category_other" }])(
  "another %o is an update and no change of price",
  (change) => {
    const { product, events } = changeProduct(aProduct(), change, 0n);
    expect(product).toEqual(aProduct({ ...change, version: 5n }));
    expect(events).toEqual([{ kind: "updated", version: 5n }]);
  },
);

test("a new price and a new name at once are two events with a version each", () => {
  const { product, events } = changeProduct(
    aProduct(),
    { name: "Samovar", price: { currencyCode: "USD" } },
    4n,
  );
  expect(events.map(({ kind, version }) => [kind, version])).toEqual([
    ["price-changed", 5n],
    ["updated", 6n],
  ]);
  expect(product.version).toBe(6n);
});

test("saying what already is changes nothing", () => {
  const same = aProduct();
  expect(changeProduct(same, { name: same.name, price: same.price }, 0n)).toEqual({
    product: same,
    events: [],
  });
});

test("a product that changed since the caller read it stays as it is", () => {
  expect(() => changeProduct(aProduct(), { name: "Samovar" }, 3n)).toThrow(reason("PRODUCT_CHANGED"));
  expect(() => archiveProduct(aProduct(), 3n)).toThrow(reason("PRODUCT_CHANGED"));
});

test("an archived product cannot be changed, nor archived again", () => {
  const archived = archiveProduct(aProduct(), 4n);
  expect(archived).toEqual(aProduct({ status: "archived", version: 5n }));
  expect(() => changeProduct(archived, { name: "Samovar" }, 0n)).toThrow(reason("PRODUCT_ARCHIVED"));
  expect(() => archiveProduct(archived, 0n)).toThrow(reason("PRODUCT_ARCHIVED"));
});

test("a product keeps a name, a category and a currency that exists", () => {
  expect(() => changeProduct(aProduct(), { name: " " }, 0n)).toThrow(violating("product.name"));
  expect(() => changeProduct(aProduct(), { categoryId: "" }, 0n)).toThrow(violating("product.category_id"));
  expect(() => changeProduct(aProduct(), { price: { currencyCode: "QQQ" } }, 0n)).toThrow(
    violating("product.price.currency_code"),
  );
  expect(() => checkDraft(aProduct({ price: { currencyCode: "QQQ", amountMinor: 1n } }))).toThrow(
    violating("price.currency_code"),
  );
});

test.each(["EUR", "USD", "JPY", "KWD", "CHF"])("a price may be in %s", (currencyCode) => {
  expect(checkDraft(aProduct({ price: { currencyCode, amountMinor: 0n } })).price.currencyCode).toBe(
    currencyCode,
  );
});
