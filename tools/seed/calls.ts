import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import type { DeclaredCalls } from "#kit/service/calls.ts";

const catalog = CatalogService.method;
const inventory = InventoryService.method;

/** What filling a new shop calls. */
export const calls: DeclaredCalls = {
  rpcs: [
    catalog.listCategories,
    catalog.createCategory,
    catalog.listProducts,
    catalog.createProduct,
    inventory.listStock,
    inventory.adjustStock,
  ],
};
