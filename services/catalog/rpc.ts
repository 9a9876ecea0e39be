import {
  type ArchiveProductRequest,
  CatalogService,
  type CreateCategoryRequest,
  type CreateProductRequest,
  type ListProductsRequest,
  ProductStatus,
  type SearchProductsRequest,
  type UpdateProductRequest,
} from "#gen/souk/catalog/v1/catalog_pb.ts";
import { isId, newId } from "#kit/ids/ids.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, type HandlersFor, query } from "#kit/service/handlers.ts";
import { announceArchived, announceChanges, announceCreated } from "./announcements.ts";
import { addCategory, readCategories } from "./category-store.ts";
import { fromCreateRequest, fromUpdateRequest, toProductMessage } from "./messages.ts";
import { archiveProduct, changeProduct, checkDraft, productNotFound } from "./product.ts";
import type { ProductCache } from "./product-cache.ts";
import { addProduct, readForChange, readMatches, readPage, saveProduct } from "./product-store.ts";

/** What the handlers work with. */
export interface CatalogRpcOptions {
  readonly db: Database;
  readonly products: ProductCache;
}

const rpcs = CatalogService.method;

/** Answers the catalog contract. */
export const catalogRpc = ({ db, products }: CatalogRpcOptions): HandlersFor<typeof CatalogService> => ({
  listCategories: query(rpcs.listCategories, async () => ({ categories: await readCategories(db) })),
  listProducts: query(rpcs.listProducts, (request) => listProducts(db, request)),
  searchProducts: query(rpcs.searchProducts, (request) => searchProducts(db, request)),
  getProduct: query(rpcs.getProduct, async ({ productId }) => ({
    product: await products.readOne(productId),
  })),
  batchGetProducts: query(rpcs.batchGetProducts, ({ productIds }) => batchGetProducts(products, productIds)),
  createCategory: command(rpcs.createCategory, { apply: applyCreateCategory }),
  createProduct: command(rpcs.createProduct, { apply: applyCreateProduct }),
  updateProduct: command(rpcs.updateProduct, {
    apply: (tx, request, call) => applyUpdate(products, tx, request, call),
  }),
  archiveProduct: command(rpcs.archiveProduct, {
    apply: (tx, request, call) => applyArchive(products, tx, request, call),
  }),
});

const idShape = /^product_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const rankShape = /^\d(\.\d{1,9})?(e-\d{1,2})?$/;

async function listProducts(db: Database, { pageSize, pageToken, categoryId }: ListProductsRequest) {
  const size = pageSize || defaultPageSize;
  const scope = ["ListProducts", categoryId];
  const [beforeId] = parsePageToken(scope, pageToken, [idShape]) ?? [];
  const page = { beforeId, limit: size + 1, categoryId: categoryId || undefined };
  const { items, last } = cutPage(await readPage(db, page), size);
  return {
    products: items.map(toProductMessage),
    nextPageToken: last ? toPageToken(scope, [last.productId]) : "",
  };
}

async function searchProducts(db: Database, { query: words, pageSize, pageToken }: SearchProductsRequest) {
  const size = pageSize || defaultPageSize;
  const scope = ["SearchProducts", words];
  const [rank, productId] = parsePageToken(scope, pageToken, [rankShape, idShape]) ?? [];
  const after = rank && productId ? { rank, productId } : undefined;
  const { items, last } = cutPage(await readMatches(db, { words, after, limit: size + 1 }), size);
  return {
    products: items.map((match) => toProductMessage(match.product)),
    nextPageToken: last ? toPageToken(scope, [last.rank, last.product.productId]) : "",
  };
}

async function batchGetProducts(products: ProductCache, productIds: readonly string[]) {
  const wanted = productIds.filter((productId) => isId("product", productId));
  const found = await products.readMany(wanted);
  return { products: found.filter((product) => product.status === ProductStatus.ACTIVE) };
}

async function applyCreateCategory(tx: Transaction, { name, slug }: CreateCategoryRequest) {
  const category = { categoryId: newId("category"), name, slug };
  await addCategory(tx, category);
  return { category };
}

async function applyCreateProduct(tx: Transaction, request: CreateProductRequest, call: Call) {
  const draft = checkDraft(fromCreateRequest(request, newId("product")));
  const product = await addProduct(tx, draft);
  announceCreated({ tx, cause: call }, product);
  return { product: toProductMessage(product) };
}

async function applyUpdate(
  products: ProductCache,
  tx: Transaction,
  request: UpdateProductRequest,
  call: Call,
) {
  const before = await readExisting(tx, request.productId);
  const changed = changeProduct(before, fromUpdateRequest(request), request.expectedVersion);
  if (changed.events.length === 0) return { product: toProductMessage(before) };
  const product = await saveProduct(tx, changed.product);
  announceChanges({ tx, cause: call }, product, changed.events);
  products.forgetAfterCommit(tx, product.productId);
  return { product: toProductMessage(product) };
}

async function applyArchive(
  products: ProductCache,
  tx: Transaction,
  { productId, expectedVersion }: ArchiveProductRequest,
  call: Call,
) {
  const before = await readExisting(tx, productId);
  const product = await saveProduct(tx, archiveProduct(before, expectedVersion));
  announceArchived({ tx, cause: call }, product);
  products.forgetAfterCommit(tx, productId);
  return { product: toProductMessage(product) };
}

async function readExisting(tx: Transaction, productId: string) {
  const product = await readForChange(tx, productId);
  if (!product) throw productNotFound(productId);
  return product;
}
