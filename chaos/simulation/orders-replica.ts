// One replica of orders: its real handlers and sagas. A new saga joins the simulation here.
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import { rpc, type ServiceRpcs } from "#kit/service/handlers.ts";
import type { Resources } from "#kit/service/service.ts";
import { turnBack } from "../../kit/saga/turn-back.ts";
import type { PricedProduct } from "../../services/orders/order.ts";
import { createOrderSagas } from "../../services/orders/order-sagas.ts";
import type { OrderWatch } from "../../services/orders/order-watch.ts";
import type { Pricing } from "../../services/orders/pricing.ts";
import { ordersRpc } from "../../services/orders/rpc.ts";
import { type Address, connectClient } from "./calls.ts";
import type { Mutation } from "./mutations.ts";
import { findSaga, type Replica, startSaga } from "./saga-replicas.ts";
import type { Process, World } from "./world.ts";

/** What a replica of orders is wired to. */
export interface OrdersParts {
  readonly world: World;
  readonly process: Process;
  readonly db: Database;
  readonly participants: Readonly<Record<"inventory" | "payments" | "shipping", Address>>;
  readonly mutation: Mutation;
}

/** A replica: it answers and it drives sagas. */
export interface OrdersReplica extends Replica {
  readonly rpcs: ServiceRpcs;
}

/** What one piece of anything costs, and sending it. */
export const priceMinor = 1_250n;
export const feeMinor = 490n;
const eur = (amountMinor: bigint) => ({ currencyCode: "EUR", amountMinor });

/** Everything is on sale; a product is called like its SKU. */
const pricing: Pricing = {
  products: async (productIds) =>
    new Map(
      productIds.map((productId): [string, PricedProduct] => [
        productId,
        { productId, sku: productId, name: productId, price: eur(priceMinor) },
      ]),
    ),
  shippingFee: async () => eur(feeMinor),
  forget: async () => {},
};

/** Nobody watches. */
const watch = { begin: () => {}, publish: () => {} } as unknown as OrderWatch;

/** Wires a replica. */
export function connectOrders({ world, process, db, participants, mutation }: OrdersParts): OrdersReplica {
  const clients = {
    inventory: connectClient(world, process, InventoryService, participants.inventory),
    payments: connectClient(world, process, PaymentsService, participants.payments),
    shipping: connectClient(world, process, ShippingService, participants.shipping),
  };
  const start: Resources["startSaga"] = (tx, definition, what) => startSaga(replica, tx, definition, what);
  const real = createOrderSagas(clients, watch, start);
  const change = (definition: unknown) =>
    mutation.saga?.(definition as SagaDefinition) ?? (definition as SagaDefinition);
  const checkout = change(real.checkout);
  const definitions = [checkout, change(real.cancel), real.return, real.refund] as SagaDefinition[];
  const replica: Replica = { world, process, db, definitions, driving: new Set() };
  const rpcs = ordersRpc({
    ...{ db, pricing, watch, shipping: clients.shipping },
    sagas: { ...real, checkout: checkout as SagaDefinition<never> },
    startSaga: start,
    findSaga: ({ name }, subjectId) => findSaga(db, name, subjectId),
    findSagas: async () => new Map(),
    turnSagaBack: turnBack,
  });
  return { ...replica, rpcs: rpc(OrdersService, rpcs) };
}
