import {
  PriceChangedSchema,
  ProductArchivedSchema,
  ProductCreatedSchema,
  ProductUpdatedSchema,
} from "#gen/souk/catalog/v1/events_pb.ts";
import { type Announcement, announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import { toMoneyMessage, toProductMessage } from "./messages.ts";
import type { Product, ProductEvent } from "./product.ts";

/** The transaction that events leave with, and what led to them. */
export interface Announcing {
  readonly tx: Transaction;
  readonly cause: Pick<Announcement, "correlationId" | "causationId" | "traceparent">;
}

/** The product was added. */
export function announceCreated({ tx, cause }: Announcing, product: Product) {
  const event = { productId: product.productId, product: toProductMessage(product) };
  announce(tx, ProductCreatedSchema, event, { ...cause, ...placeOf(product) });
}

/** The product went off sale. */
export function announceArchived({ tx, cause }: Announcing, { productId, version }: Product) {
  announce(tx, ProductArchivedSchema, { productId }, { ...cause, ...placeOf({ version }) });
}

/** What a change meant, each with its own version. */
export function announceChanges(announcing: Announcing, product: Product, events: readonly ProductEvent[]) {
  for (const event of events) announceChange(announcing, product, event);
}

function announceChange({ tx, cause }: Announcing, product: Product, event: ProductEvent) {
  const { productId } = product;
  const about = { ...cause, ...placeOf(event) };
  if (event.kind === "updated") {
    announce(tx, ProductUpdatedSchema, { productId, product: toProductMessage(product) }, about);
    return;
  }
  const oldPrice = toMoneyMessage(event.oldPrice);
  const newPrice = toMoneyMessage(event.newPrice);
  announce(tx, PriceChangedSchema, { productId, oldPrice, newPrice }, about);
}

/** Each version of a product is announced by one event. */
const placeOf = ({ version }: { readonly version: bigint }) => ({
  aggregateVersion: version,
  previousVersion: version - 1n,
});
