import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { DeclaredCalls } from "#kit/service/calls.ts";

const catalog = CatalogService.method;
const inventory = InventoryService.method;
const payments = PaymentsService.method;
const shipping = ShippingService.method;

/** What orders calls: to price, to drive its sagas, to compare its records. */
export const calls: DeclaredCalls = {
  rpcs: [
    catalog.batchGetProducts,
    inventory.reserveStock,
    inventory.extendReservation,
    inventory.releaseStock,
    inventory.returnStock,
    inventory.batchGetReservations,
    payments.authorizePayment,
    payments.capturePayment,
    payments.voidPayment,
    payments.refundPayment,
    payments.batchGetPayments,
    shipping.quoteShipping,
    shipping.bookShipment,
    shipping.cancelShipment,
    shipping.checkDispatch,
    shipping.batchGetShipments,
  ],
};
