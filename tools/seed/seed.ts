// Fills a new shop through the services' own contracts. What is there already stays as it is, so seeding again changes
// nothing and takes a few reads.

import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { CURRENCY, SEED_CATEGORIES, SEED_PRODUCTS } from "./assortment.ts";
import { readPages } from "./pages.ts";
import { runSideBySide } from "./side-by-side.ts";

/** Scopes that seeding needs. */
export const SEED_SCOPES = "catalog:write inventory:read inventory:write";

/** Where the seed goes, and in whose name. */
export type SeedTarget = { catalogUrl: string; inventoryUrl: string; token: string };

/** How much was missing, and has been added. */
export type SeedResult = { categories: number; products: number; stocks: number };

type Catalog = Client<typeof CatalogService>;
type Inventory = Client<typeof InventoryService>;

const CALLS_AT_ONCE = 16;
const TIMEOUT_MS = 10_000;

/** Adds what is missing of the assortment and its stock. Rejects with the first refusal. */
export async function seedShop({ catalogUrl, inventoryUrl, token }: SeedTarget): Promise<SeedResult> {
  const sessions = [catalogUrl, inventoryUrl].map((url) => new Http2SessionManager(url));
  const [catalogSession, inventorySession] = sessions;
  const transportTo = (baseUrl: string, sessionManager: Http2SessionManager | undefined) =>
    createGrpcTransport({
      baseUrl,
      defaultTimeoutMs: TIMEOUT_MS,
      interceptors: [bearer(token)],
      ...(sessionManager ? { sessionManager } : {}),
    });
  const catalog = createClient(CatalogService, transportTo(catalogUrl, catalogSession));
  const inventory = createClient(InventoryService, transportTo(inventoryUrl, inventorySession));
  try {
    const { idsBySlug, added } = await seedCategories(catalog);
    const [products, stocks] = await Promise.all([seedProducts(catalog, idsBySlug), seedStocks(inventory)]);
    return { categories: added, products, stocks };
  } finally {
    for (const session of sessions) session.abort();
  }
}

async function seedCategories(catalog: Catalog) {
  const { categories } = await catalog.listCategories({});
  const idsBySlug = new Map(categories.map(({ slug, categoryId }) => [slug, categoryId]));
  const missing = SEED_CATEGORIES.filter(({ slug }) => !idsBySlug.has(slug));
  await runSideBySide(missing, CALLS_AT_ONCE, async (category) => {
    const answer = await catalog.createCategory(category, keyed(`category-${category.slug}`));
    idsBySlug.set(category.slug, answer.category?.categoryId ?? "");
  });
  return { idsBySlug, added: missing.length };
}

async function seedProducts(catalog: Catalog, idsBySlug: ReadonlyMap<string, string>): Promise<number> {
  const present = await readPages(async (page) => {
    const { products, nextPageToken } = await catalog.listProducts(page);
    return { items: products.map(({ sku }) => sku), nextPageToken };
  });
  const missing = SEED_PRODUCTS.filter(({ sku }) => !present.has(sku));
  await runSideBySide(
    missing,
    CALLS_AT_ONCE,
    async ({ sku, name, description, categorySlug, priceMinor }) => {
      const price = { currencyCode: CURRENCY, amountMinor: BigInt(priceMinor) };
      const categoryId = idsBySlug.get(categorySlug) ?? "";
      const request = { sku, name, description, categoryId, price };
      await catalog.createProduct(request, keyed(`product-${sku}`)).catch(unlessArchived);
    },
  );
  return missing.length;
}

async function seedStocks(inventory: Inventory): Promise<number> {
  const present = await readPages(async (page) => {
    const { stock, nextPageToken } = await inventory.listStock(page);
    return { items: stock.map(({ sku }) => sku), nextPageToken };
  });
  const missing = SEED_PRODUCTS.filter(({ sku }) => !present.has(sku));
  await runSideBySide(missing, CALLS_AT_ONCE, async ({ sku, stock }) => {
    const request = { sku, quantity: stock, reason: MovementReason.RECEIVED, note: "Opening stock" };
    await inventory.adjustStock(request, keyed(`stock-${sku}`));
  });
  return missing.length;
}

/** An archived product is on no list, but its SKU is taken: somebody has decided not to sell it. */
function unlessArchived(error: unknown): void {
  if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
}

function keyed(what: string) {
  return { headers: { "idempotency-key": `seed-${what}` } };
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
