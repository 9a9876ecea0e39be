import { isUniqueViolation, type Queryable, type Transaction } from "#kit/postgres/postgres.ts";
import { categoryNotFound, type Product, type ProductDraft, skuTaken } from "./product.ts";
import {
  insertProduct,
  lockProduct,
  searchPage,
  selectCategoryPage,
  selectPage,
  selectProducts,
  updateProduct,
  upsertAvailability,
} from "./product-statements.ts";

/** Where a page of "newest first" begins, and how many rows to read. */
export interface ProductPage {
  /** Undefined for the first page. */
  readonly beforeId: string | undefined;
  readonly limit: number;
  /** All categories where undefined. */
  readonly categoryId: string | undefined;
}

/** A search and where its page begins. */
export interface SearchPage {
  readonly words: string;
  /** Undefined for the first page. */
  readonly after: { readonly rank: string; readonly productId: string } | undefined;
  readonly limit: number;
}

/** A product and how well it matches; the rank is a float4 as text. */
export interface Match {
  readonly product: Product;
  readonly rank: string;
}

/** Products by id, in no order, whatever their status; unknown ones are left out. */
export async function readProducts(source: Queryable, productIds: readonly string[]): Promise<Product[]> {
  return (await source.query<ProductRow>(selectProducts, [productIds])).map(toProduct);
}

/** Products on sale, newest first. */
export async function readPage(source: Queryable, page: ProductPage): Promise<Product[]> {
  const { beforeId = null, limit, categoryId } = page;
  const rows =
    categoryId === undefined
      ? await source.query<ProductRow>(selectPage, [beforeId, limit])
      : await source.query<ProductRow>(selectCategoryPage, [beforeId, limit, categoryId]);
  return rows.map(toProduct);
}

/** Products on sale that match, best first. */
export async function readMatches(source: Queryable, { words, after, limit }: SearchPage): Promise<Match[]> {
  const values = [words, after?.rank ?? null, after?.productId ?? null, limit];
  const rows = await source.query<ProductRow & { rank: string }>(searchPage, values);
  return rows.map((row) => ({ product: toProduct(row), rank: row.rank }));
}

/** The product, locked until the transaction ends; undefined where there is none. */
export async function readForChange(tx: Transaction, productId: string): Promise<Product | undefined> {
  const [row] = await tx.query<ProductRow>(lockProduct, [productId]);
  return row && toProduct(row);
}

/**
 * Adds a product.
 * @throws ServiceError SKU_TAKEN, CATEGORY_NOT_FOUND.
 */
export async function addProduct(tx: Transaction, draft: ProductDraft): Promise<Product> {
  const { productId, sku, name, description, categoryId, price } = draft;
  const values = [productId, sku, name, description, categoryId, price.currencyCode, price.amountMinor];
  const [row] = await tx.query<ProductRow>(insertProduct, values).catch((error: unknown) => {
    throw isUniqueViolation(error, "products_sku") ? skuTaken(sku) : error;
  });
  if (!row) throw categoryNotFound(categoryId);
  return toProduct(row);
}

/**
 * Writes a changed product and returns it with its new time.
 * @throws ServiceError CATEGORY_NOT_FOUND.
 */
export async function saveProduct(tx: Transaction, product: Product): Promise<Product> {
  const { productId, name, description, categoryId, price, status, version } = product;
  const values = [
    productId,
    name,
    description,
    categoryId,
    price.currencyCode,
    price.amountMinor,
    status,
    version,
  ];
  const [row] = await tx.query<ProductRow>(updateProduct, values);
  if (!row) throw categoryNotFound(categoryId);
  return toProduct(row);
}

/** Notes what inventory announced about a SKU; returns the product that looks different for it, if there is one. */
export async function noteAvailability(
  tx: Transaction,
  news: { readonly sku: string; readonly inStock: boolean; readonly stockVersion: bigint },
): Promise<string | undefined> {
  const values = [news.sku, news.inStock, news.stockVersion];
  const [row] = await tx.query<{ product_id: string }>(upsertAvailability, values);
  return row?.product_id;
}

interface ProductRow {
  product_id: string;
  sku: string;
  name: string;
  description: string;
  category_id: string;
  price_currency: string;
  price_minor: bigint;
  status: "active" | "archived";
  in_stock: boolean;
  version: bigint;
  created_at: Date;
  updated_at: Date;
}

const toProduct = (row: ProductRow): Product => ({
  productId: row.product_id,
  sku: row.sku,
  name: row.name,
  description: row.description,
  categoryId: row.category_id,
  price: { currencyCode: row.price_currency, amountMinor: row.price_minor },
  status: row.status,
  inStock: row.in_stock,
  version: row.version,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});
