// Harmless calls, one for each service, that a caller with the right scopes gets an answer to.

import { create, type DescMethodUnary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { SagaService } from "#gen/souk/ops/v1/ops_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { orderBody } from "../../../tools/client/order-body.ts";
import { CUSTOMER_SCOPES, OPERATOR_SCOPES } from "../../../tools/client/tokens.ts";
import type { SERVICES } from "./namespaces.ts";
import type { ProbeCall, ProbeToken } from "./probe.ts";

/** A person who may do everything that the checks ask for. */
export const anybody = {
  sub: "user_01j2mdhkv3fh3r8q5w9x7y4zac",
  scope: `${CUSTOMER_SCOPES} ${OPERATOR_SCOPES} catalog:write inventory:read inventory:write payments:refund`,
  roles: "customer operator",
} satisfies ProbeToken;

/** The port of every service's gRPC. */
export const grpcTarget = (service: string): string => `${service}:50051`;

/** The way in, for whoever is in the mesh. */
export const GATEWAY = "gateway:8080";

/** A gRPC call of a method, with its message. */
export function grpcCall<M extends DescMethodUnary>(
  service: string,
  method: M,
  message: MessageInitShape<M["input"]>,
): ProbeCall {
  return {
    kind: "grpc",
    target: grpcTarget(service),
    path: `/${method.parent.typeName}/${method.name}`,
    message: Buffer.from(toBinary(method.input, create(method.input, message))).toString("base64"),
  };
}

const sagas = (service: string) => grpcCall(service, SagaService.method.listSagas, { service });

/** What a service is asked to see whether it answers. */
export const readCalls: Readonly<Record<(typeof SERVICES)[number], ProbeCall>> = {
  gateway: { kind: "http", target: GATEWAY, path: "/v1/products?page_size=5" },
  catalog: grpcCall("catalog", CatalogService.method.listProducts, { pageSize: 5 }),
  inventory: grpcCall("inventory", InventoryService.method.listStock, { pageSize: 5 }),
  orders: grpcCall("orders", OrdersService.method.listOrders, { pageSize: 5 }),
  payments: sagas("payments"),
  shipping: sagas("shipping"),
};

/** An order through the edge. */
export const orderCall = (productId: string): ProbeCall => ({
  kind: "http",
  target: GATEWAY,
  path: "/v1/orders",
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(orderBody({ productId, quantity: 1, paymentMethod: "pm_card_visa" })),
  timeoutMs: 10_000,
});
