import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "#gen/souk/catalog/v1/catalog_pb.ts";
import type { Cache } from "#kit/cache/cache.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { toProductMessage } from "./messages.ts";
import { productNotFound } from "./product.ts";
import { readProducts } from "./product-store.ts";

/** Products as callers see them, cached as the bytes in which they travel. */
export interface ProductCache {
  /** @throws ServiceError PRODUCT_NOT_FOUND. */
  readOne(productId: string): Promise<Product>;
  /** Products by id, in no order; unknown ones are left out. */
  readMany(productIds: readonly string[]): Promise<Product[]>;
  /** Drops a product from the cache once the change to it is visible. */
  forgetAfterCommit(tx: Transaction, productId: string): void;
}

/** What the cache reads through. */
export interface ProductCacheOptions {
  readonly db: Database;
  readonly cache: Cache;
  readonly ttlMs: number;
}

const keyPrefix = "product:";
const toKey = (productId: string) => keyPrefix + productId;

/** Makes the cache in front of the product table. */
export function createProductCache({ db, cache, ttlMs }: ProductCacheOptions): ProductCache {
  const keeping = {
    ttlMs,
    encode: (product: Product) => toBinary(ProductSchema, product),
    decode: (bytes: Uint8Array) => fromBinary(ProductSchema, bytes),
  };
  const loadMany = (keys: readonly string[]) => loadProducts(db, keys);
  return {
    readOne: (productId) =>
      cache.getOrLoad(toKey(productId), { ...keeping, load: () => loadProduct(db, productId) }),
    async readMany(productIds) {
      const found = await cache.getManyOrLoad(productIds.map(toKey), { ...keeping, loadMany });
      return [...found.values()];
    },
    forgetAfterCommit: (tx, productId) => tx.afterCommit(() => void cache.invalidate([toKey(productId)])),
  };
}

async function loadProduct(db: Database, productId: string): Promise<Product> {
  const [product] = await readProducts(db, [productId]);
  if (!product) throw productNotFound(productId);
  return create(ProductSchema, toProductMessage(product));
}

async function loadProducts(db: Database, keys: readonly string[]): Promise<Map<string, Product>> {
  const products = await readProducts(
    db,
    keys.map((key) => key.slice(keyPrefix.length)),
  );
  return new Map(
    products.map((product) => [toKey(product.productId), create(ProductSchema, toProductMessage(product))]),
  );
}
