import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { readConfig } from "./config.ts";
import { catalogConsumers } from "./consumers.ts";
import { createProductCache } from "./product-cache.ts";
import { catalogRpc } from "./rpc.ts";

/** Catalog: what the shop sells, and for how much. */
export const catalog = defineService({
  name: "catalog",
  migrations: new URL("./migrations/", import.meta.url),
  readConfig,
  wire({ db, cache }, { productCacheTtlMs }) {
    const products = createProductCache({ db, cache, ttlMs: productCacheTtlMs });
    return {
      rpcs: [rpc(CatalogService, catalogRpc({ db, products }))],
      consumers: catalogConsumers({ products }),
    };
  },
});

if (import.meta.main) await run(catalog);
