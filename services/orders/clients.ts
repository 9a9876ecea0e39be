import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { Resources } from "#kit/service/service.ts";
import type { OrdersConfig } from "./config.ts";

/** Clients of the services that orders calls. */
export const createClients = (client: Resources["client"], config: OrdersConfig) => ({
  catalog: client(CatalogService, config.catalogUrl),
  inventory: client(InventoryService, config.inventoryUrl),
  payments: client(PaymentsService, config.paymentsUrl),
  shipping: client(ShippingService, config.shippingUrl),
});
