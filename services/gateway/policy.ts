import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import type { MethodPolicy as EdgePolicy } from "#edge/edge.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { GatewayService } from "#gen/souk/gateway/v1/gateway_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import {
  DeadLetterService,
  OutboxService,
  ReconciliationService,
  SagaService,
} from "#gen/souk/ops/v1/ops_pb.ts";
import {
  Audience,
  type MethodPolicy,
  policy as policyOption,
  Retry,
} from "#gen/souk/options/v1/options_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { BackendName } from "./config.ts";
import { ticketParameter } from "./tickets.ts";

/** The contracts behind the gateway, and which service answers each. */
export const publicServices: ReadonlyMap<DescService, BackendName> = new Map<DescService, BackendName>([
  [CatalogService, "catalog"],
  [InventoryService, "inventory"],
  [OrdersService, "orders"],
  [PaymentsService, "payments"],
  [ShippingService, "shipping"],
]);

/** Contracts that every service answers about itself; a request's field `service` says which one is meant. */
export const operatorServices: ReadonlySet<DescService> = new Set<DescService>([
  DeadLetterService,
  OutboxService,
  ReconciliationService,
  SagaService,
]);

/** Contracts that the gateway itself answers, out of what several services know. */
export const ownServices: ReadonlySet<DescService> = new Set<DescService>([GatewayService]);

/** Every contract that is served to callers from outside. */
export const servedServices: readonly DescService[] = [
  ...publicServices.keys(),
  ...ownServices,
  ...operatorServices,
];

const policies = new Map<DescMethod, MethodPolicy>();

/** A method's policy as its contract states it. */
export function policyOf(method: DescMethod): MethodPolicy {
  let policy = policies.get(method);
  if (policy === undefined) {
    policy = getOption(method, policyOption);
    policies.set(method, policy);
  }
  return policy;
}

/** What the edge must know of it. Methods for services among themselves are not exposed. */
export function edgePolicyFor(method: DescMethod): EdgePolicy {
  const policy = policyOf(method);
  return {
    exposed: policy.audience === Audience.EDGE,
    maxTimeoutMs: policy.deadlineMs,
    retryable: policy.retry === Retry.SAFE || policy.retry === Retry.WITH_KEY,
    ...(policy.httpStatus && { httpStatus: policy.httpStatus }),
    maxRequestBytes: policy.maxRequestBytes || defaultMaxRequestBytes,
    ...(policy.ticketAccepted && { ignoredQueryParameters: [ticketParameter] }),
  };
}

/** The default that souk.options.v1 states. */
const defaultMaxRequestBytes = 262_144;
