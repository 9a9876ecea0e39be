import { StockLowSchema, StockReplenishedSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { type Consumer, type EventContext, on } from "#kit/inbox/inbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { ProductCache } from "./product-cache.ts";
import { noteAvailability } from "./product-store.ts";

/** Catalog's reactions to other services' events. */
export function catalogConsumers({ products }: { readonly products: ProductCache }): Consumer[] {
  const note = async (tx: Transaction, sku: string, inStock: boolean, context: EventContext) => {
    const productId = await noteAvailability(tx, { sku, inStock, stockVersion: context.aggregateVersion });
    if (productId !== undefined) products.forgetAfterCommit(tx, productId);
  };
  // The newest version is kept, whichever comes last.
  const anyOrder = true;
  return [
    on(StockLowSchema, { anyOrder, apply: (tx, { sku }, context) => note(tx, sku, false, context) }),
    on(StockReplenishedSchema, { anyOrder, apply: (tx, { sku }, context) => note(tx, sku, true, context) }),
  ];
}
