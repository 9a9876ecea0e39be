import type { Product } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { type MissingPart, OrderPart } from "#gen/souk/gateway/v1/gateway_pb.ts";
import type { Order } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Payment } from "#gen/souk/payments/v1/payments_pb.ts";
import type { Shipment } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { toServiceError } from "#kit/errors/errors.ts";

/** Reads by id what belongs to an order; each may refuse. */
export interface PartReaders {
  product(id: string): Promise<Product | undefined>;
  payment(id: string): Promise<Payment | undefined>;
  shipment(id: string): Promise<Shipment | undefined>;
}

/** An order's parts, and which of them could not be had. */
export interface OrderParts {
  readonly products: Product[];
  readonly payment: Payment | undefined;
  readonly shipment: Shipment | undefined;
  readonly missingParts: Omit<MissingPart, "$typeName">[];
}

/** Reads all parts of an order side by side; a part that cannot be had is named, and spoils nothing else. */
export async function readParts(order: Order, readers: PartReaders): Promise<OrderParts> {
  const missingParts: OrderParts["missingParts"] = [];
  const orMissing = async <T>(
    part: OrderPart,
    id: string,
    read: (id: string) => Promise<T>,
  ): Promise<T | undefined> => {
    if (id === "") return undefined;
    try {
      return await read(id);
    } catch (error) {
      const { reason, domain } = toServiceError(error);
      missingParts.push({ part, id, reason, domain });
      return undefined;
    }
  };
  const productIds = [...new Set(order.lines.map(({ productId }) => productId))];
  const [payment, shipment, ...products] = await Promise.all([
    orMissing(OrderPart.PAYMENT, order.paymentId, readers.payment),
    orMissing(OrderPart.SHIPMENT, order.shipmentId, readers.shipment),
    ...productIds.map((id) => orMissing(OrderPart.PRODUCT, id, readers.product)),
  ]);
  const known = products.filter((product) => product !== undefined);
  // In whatever order they failed, they are told of in one.
  missingParts.sort((one, other) => one.part - other.part || one.id.localeCompare(other.id, "en"));
  return { products: known, payment, shipment, missingParts };
}
