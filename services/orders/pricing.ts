import type { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import type { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { Cache } from "#kit/cache/cache.ts";
import type { CallContext } from "#kit/rpc/call.ts";
import type { Client } from "#kit/rpc/client.ts";
import { toWireLevel } from "./messages.ts";
import type { Money, PricedProduct, ServiceLevel } from "./order.ts";
import { fromMoney } from "./refund-messages.ts";

/** A changed price is used this much later at most, besides being dropped when the change is heard of. */
const productTtlMs = 10_000;
/** Tariffs change with a release of shipping. */
const tariffTtlMs = 60_000;
/** Of a moment's orders only the first asks Redis. */
const copyMs = 1_000;

/** Tells what things cost. */
export interface Pricing {
  /** Products on sale, by id; unknown ones are missing. */
  products(productIds: readonly string[], call: CallContext): Promise<ReadonlyMap<string, PricedProduct>>;
  /** @throws ServiceError COUNTRY_NOT_SERVED of shipping. */
  shippingFee(countryCode: string, level: ServiceLevel, call: CallContext): Promise<Money>;
  /** Drops what is remembered of a product. */
  forget(productId: string): Promise<void>;
}

/** Prices from catalog and shipping, remembered in the cache. */
export function createPricing(options: {
  readonly catalog: Client<typeof CatalogService>;
  readonly shipping: Client<typeof ShippingService>;
  readonly cache: Cache;
}): Pricing {
  const { catalog, shipping, cache } = options;
  return {
    products: (productIds, call) => readProducts(catalog, cache, productIds, call),
    shippingFee: (countryCode, level, call) =>
      cache.getOrLoad(`fee:${countryCode}:${level}`, {
        ttlMs: tariffTtlMs,
        copyMs,
        load: async () => {
          const quote = await shipping.quoteShipping(
            { countryCode, serviceLevel: toWireLevel(level) },
            { call: ofAll(call) },
          );
          return fromMoney(quote.price);
        },
        encode: encodeMoney,
        decode: decodeMoney,
      }),
    forget: (productId) => cache.invalidate([productKey(productId)]),
  };
}

/**
 * Whoever asks for the same meanwhile waits for the same answer, so asking must not end with the one call that began it: the
 * others have time left, and would hear that somebody else went away.
 */
const ofAll = ({ correlationId, traceparent }: CallContext): CallContext => ({ correlationId, traceparent });

async function readProducts(
  catalog: Client<typeof CatalogService>,
  cache: Cache,
  productIds: readonly string[],
  call: CallContext,
) {
  const keys = [...new Set(productIds)].map(productKey);
  const found = await cache.getManyOrLoad<PricedProduct>(keys, {
    ttlMs: productTtlMs,
    copyMs,
    loadMany: async (missing) => {
      const { products } = await catalog.batchGetProducts(
        { productIds: missing.map(productIdOf) },
        { call: ofAll(call) },
      );
      return new Map(
        products.map(({ productId, sku, name, price }) => [
          productKey(productId),
          { productId, sku, name, price: fromMoney(price) },
        ]),
      );
    },
    encode: encodeProduct,
    decode: decodeProduct,
  });
  return new Map([...found.values()].map((product) => [product.productId, product]));
}

const keyPrefix = "product:";
const productKey = (productId: string) => keyPrefix + productId;
const productIdOf = (key: string) => key.slice(keyPrefix.length);

const moneyText = ({ currencyCode, amountMinor }: Money) => `${currencyCode} ${amountMinor}`;

function parseMoney(text: string): Money {
  const [currencyCode = "", amount = "0"] = text.split(" ");
  return { currencyCode, amountMinor: BigInt(amount) };
}

const encodeMoney = (money: Money) => Buffer.from(moneyText(money));
const decodeMoney = (bytes: Uint8Array) => parseMoney(textOf(bytes));

const encodeProduct = ({ price, ...facts }: PricedProduct) =>
  Buffer.from(JSON.stringify({ ...facts, price: moneyText(price) }));

function decodeProduct(bytes: Uint8Array): PricedProduct {
  const { price, ...facts } = JSON.parse(textOf(bytes)) as Omit<PricedProduct, "price"> & { price: string };
  return { ...facts, price: parseMoney(price) };
}

const textOf = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
