import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpdateProductRequestSchema } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { fromUpdateRequest } from "./messages.ts";

const asking = (...paths: string[]) =>
  create(UpdateProductRequestSchema, {
    productId: "product_01h455vb4pex5vsknk084sn02q",
    product: { name: "Samovar", description: "Hot", price: { currencyCode: "USD", amountMinor: 5n } },
    updateMask: { paths },
  });

test("only what the mask names is taken over", () => {
  expect(fromUpdateRequest(asking("name"))).toEqual({ name: "Samovar" });
  expect(fromUpdateRequest(asking("description", "category_id"))).toEqual({
    description: "Hot",
    categoryId: "",
  });
  expect(fromUpdateRequest(asking("price"))).toEqual({ price: { currencyCode: "USD", amountMinor: 5n } });
});

test("a mask may name a part of the price, or both parts", () => {
  expect(fromUpdateRequest(asking("price.amount_minor"))).toEqual({ price: { amountMinor: 5n } });
  expect(fromUpdateRequest(asking("price.amount_minor", "price.currency_code"))).toEqual({
    price: { currencyCode: "USD", amountMinor: 5n },
  });
});

test.each(["sku", "version", "status", "*", "price.", "__proto__", ""])(
  "a mask that names %o is refused",
  (path) => {
    expect(() => fromUpdateRequest(asking("name", path))).toThrow(
      expect.objectContaining({ reason: "UPDATE_MASK_INVALID", metadata: { path } }),
    );
  },
);

test("an empty mask is refused", () => {
  expect(() => fromUpdateRequest(asking())).toThrow(
    expect.objectContaining({ reason: "UPDATE_MASK_INVALID" }),
  );
});
