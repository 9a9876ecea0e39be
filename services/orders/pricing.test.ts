import { create } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import {
  BatchGetProductsResponseSchema,
  type CatalogService,
  ProductSchema,
} from "#gen/souk/catalog/v1/catalog_pb.ts";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/shipping/v1/errors_pb.ts";
import { QuoteShippingResponseSchema, type ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { createCache } from "#kit/cache/cache.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Client } from "#kit/rpc/client.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { deadlineIn } from "#kit/time/time.ts";
import { createPricing } from "./pricing.ts";

// Nothing listens there: everything is loaded, which is what happens while Redis is away.
const log = createLogger({ service: "test", level: "silent" });
const cache = createCache({ redisUrl: "redis://127.0.0.1:1", prefix: "test", log });
afterAll(() => cache.close());

const call = { correlationId: "request-1", traceparent: undefined };
const price = { currencyCode: "EUR", amountMinor: 1_999n };
const assortment = new Map(["product_1", "product_2"].map((productId) => [productId, `SKU-${productId}`]));

/** A catalog and a shipping that write down what they are asked. */
function priceWith(refusal?: Error) {
  const asked: unknown[] = [];
  const catalog = {
    async batchGetProducts(request: { productIds: string[] }, options: unknown) {
      asked.push([request, options]);
      const products = request.productIds.flatMap((productId) => {
        const sku = assortment.get(productId);
        return sku ? [create(ProductSchema, { productId, sku, name: "Teapot", price })] : [];
      });
      return create(BatchGetProductsResponseSchema, { products });
    },
  };
  const shipping = {
    async quoteShipping(request: unknown, options: unknown) {
      asked.push([request, options]);
      if (refusal) throw refusal;
      return create(QuoteShippingResponseSchema, { price: { currencyCode: "EUR", amountMinor: 490n } });
    },
  };
  const pricing = createPricing({
    catalog: catalog as unknown as Client<typeof CatalogService>,
    shipping: shipping as unknown as Client<typeof ShippingService>,
    cache,
  });
  return { asked, pricing };
}

test("the catalog is asked once for all products of an order, each named once, in the name of the order's request", async () => {
  const { asked, pricing } = priceWith();
  const products = await pricing.products(["product_1", "product_2", "product_1"], call);
  expect(asked).toEqual([[{ productIds: ["product_1", "product_2"] }, { call }]]);
  expect([...products.keys()]).toEqual(["product_1", "product_2"]);
  expect(products.get("product_2")).toEqual({
    productId: "product_2",
    sku: "SKU-product_2",
    name: "Teapot",
    price: expect.objectContaining(price),
  });
});

test("a caller who leaves takes no answer from those who wait for the same", async () => {
  const { asked, pricing } = priceWith();
  const leaving = new AbortController();
  const first = pricing.products(["product_1"], { ...call, signal: leaving.signal, deadline: deadlineIn(5) });
  const second = pricing.products(["product_1"], call);
  leaving.abort();
  expect([...(await second).keys()]).toEqual(["product_1"]);
  expect(asked).toEqual([[{ productIds: ["product_1"] }, { call }]]);
  await first;
});

test("a product that the catalog does not sell is missing", async () => {
  const { pricing } = priceWith();
  const products = await pricing.products(["product_gone", "product_1"], call);
  expect([...products.keys()]).toEqual(["product_1"]);
});

test("shipping is asked what it costs to send to the country that fast", async () => {
  const { asked, pricing } = priceWith();
  expect(await pricing.shippingFee("DE", "express", call)).toEqual({
    currencyCode: "EUR",
    amountMinor: 490n,
  });
  expect(asked).toEqual([[{ countryCode: "DE", serviceLevel: ServiceLevel.EXPRESS }, { call }]]);
});

test("a country that shipping does not serve stays shipping's refusal", async () => {
  const refusal = serviceError(ErrorReasonSchema, ErrorReason.COUNTRY_NOT_SERVED, "Not there.");
  const { pricing } = priceWith(refusal);
  await expect(pricing.shippingFee("KP", "standard", call)).rejects.toBe(refusal);
});
