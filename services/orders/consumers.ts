import {
  PriceChangedSchema,
  ProductArchivedSchema,
  ProductUpdatedSchema,
} from "#gen/souk/catalog/v1/events_pb.ts";
import { type Consumer, on } from "#kit/inbox/inbox.ts";
import type { Pricing } from "./pricing.ts";

/** Drops what is remembered of a product when it changes, so that the next order is priced anew. */
export function orderConsumers({ forget }: Pricing): readonly Consumer[] {
  const dropped = {
    anyOrder: true,
    prepare: ({ productId }: { productId: string }) => forget(productId),
    apply: async () => {},
  };
  return [
    on(ProductUpdatedSchema, dropped),
    on(PriceChangedSchema, dropped),
    on(ProductArchivedSchema, dropped),
  ];
}
