import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { connectForeignEvents } from "#kit/testing/foreign-events.ts";
import { startForTest, type TestOptions, type TestService } from "#kit/testing/testing.ts";
import { catalog } from "../main.ts";

type Catalog = Client<typeof CatalogService>;
/** What a test wants a product to be. */
interface Draft {
  readonly categoryId: string;
  readonly sku?: string;
  readonly name?: string;
  readonly description?: string;
  readonly price?: { readonly currencyCode: string; readonly amountMinor: bigint };
}

/** Catalog with somebody of the staff, somebody who only looks, and orders as its callers. */
export async function openShop(options: TestOptions = {}) {
  const service = await startForTest(catalog, options);
  const staff = service.client(CatalogService, {
    sub: "user_staff",
    scope: "catalog:write",
    roles: "operator",
  });
  const foreign = await connectForeignEvents(service.prefix);
  return {
    service,
    staff,
    visitor: service.client(CatalogService, { scope: "" }),
    orders: service.client(CatalogService, { service: "orders" }),
    foreign,
    addCategory: (slug: string) => addCategory(staff, slug),
    addProduct: (draft: Draft) => addProduct(staff, draft),
    eventsOf: (productId: string) => readEvents(service, productId),
    async close() {
      await foreign.close();
      await service.stop();
    },
  };
}

/** What `openShop` opens. */
export type Shop = Awaited<ReturnType<typeof openShop>>;

/** A fresh key, for a command whose repetition is not the point. */
export const freshKey = () => ({ idempotencyKey: newId("key") });

async function addCategory(staff: Catalog, slug: string) {
  const { category } = await staff.createCategory({ slug, name: slug.toUpperCase() }, freshKey());
  return category?.categoryId ?? "";
}

let skus = 0;

/** Adds a product; what the draft leaves open is something valid. */
async function addProduct(staff: Catalog, draft: Draft) {
  skus += 1;
  const price = { currencyCode: "EUR", amountMinor: 1_999n };
  const { product } = await staff.createProduct(
    { sku: `SKU-${skus}`, name: "Teapot", price, ...draft },
    freshKey(),
  );
  if (!product) throw new Error("no product was answered");
  return product;
}

const selectEvents = statement(
  "test-select-events",
  `select headers->>'ce-type' as type, headers->>'souk-aggregate-version' as version, payload
   from kit.outbox where headers->>'ce-subject' = $1 order by xid, seq`,
);

/** The events that catalog has announced about a product, oldest first. */
async function readEvents({ db }: TestService, productId: string) {
  const rows = await db.query<{ type: string; version: string; payload: Buffer }>(selectEvents, [productId]);
  return rows.map(({ type, version, payload }) => ({
    type: type.slice(type.lastIndexOf(".") + 1),
    version: Number(version),
    payload,
  }));
}
