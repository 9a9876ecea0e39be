import { create, type DescMethod, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { LocalCall, LocalHandler } from "#edge/edge.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { GatewayService } from "#gen/souk/gateway/v1/gateway_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { TokenVerifier } from "#kit/auth/auth.ts";
import { type CallContext, trackHeader, trackOf } from "#kit/rpc/call.ts";
import { type Client, createClient } from "#kit/rpc/client.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import { deadlineIn } from "#kit/time/time.ts";
import type { GatewayConfig } from "./config.ts";
import { readParts } from "./order-details.ts";
import { toEdgeError } from "./problems.ts";
import { type Tickets, watchPathOf } from "./tickets.ts";

/** The services whose answers are put together. */
export interface GatewayClients {
  readonly catalog: Client<typeof CatalogService>;
  readonly orders: Client<typeof OrdersService>;
  readonly payments: Client<typeof PaymentsService>;
  readonly shipping: Client<typeof ShippingService>;
}

/** Clients that connect with their first call. */
export function createClients({ backends }: GatewayConfig, metrics: Metrics): GatewayClients {
  return {
    catalog: createClient(CatalogService, { url: backends.catalog, metrics }),
    orders: createClient(OrdersService, { url: backends.orders, metrics }),
    payments: createClient(PaymentsService, { url: backends.payments, metrics }),
    shipping: createClient(ShippingService, { url: backends.shipping, metrics }),
  };
}

/** What the gateway's own methods work with. */
export interface GatewayParts {
  readonly clients: GatewayClients;
  readonly tickets: Tickets;
  readonly verifier: TokenVerifier;
}

/** Answers the gateway's contract. Every call goes on under the caller's own token: services decide what it may see. */
export const gatewayRpc = (parts: GatewayParts): Readonly<Record<string, LocalHandler>> => ({
  getOrderDetails: answer(GatewayService.method.getOrderDetails, getOrderDetails(parts)),
  createWatchTicket: answer(GatewayService.method.createWatchTicket, createWatchTicket(parts)),
});

const getOrderDetails =
  ({ clients: { catalog, orders, payments, shipping } }: GatewayParts) =>
  async ({ orderId }: { orderId: string }, call: CallContext) => {
    const own = { call, forwardToken: true };
    const { order } = await orders.getOrder({ orderId }, own);
    if (!order) throw new Error("orders answered without an order");
    const parts = await readParts(order, {
      product: async (productId) => (await catalog.getProduct({ productId }, own)).product,
      payment: async (paymentId) => (await payments.getPayment({ paymentId }, own)).payment,
      shipment: async (shipmentId) => (await shipping.getShipment({ shipmentId }, own)).shipment,
    });
    const buyer = { customerId: order.customerId, name: order.shippingAddress?.name ?? "" };
    return { order, buyer, ...parts };
  };

const createWatchTicket =
  ({ clients: { orders }, tickets, verifier }: GatewayParts) =>
  async ({ orderId }: { orderId: string }, call: CallContext) => {
    // Whoever may read the order may follow it: orders refuses all others.
    await orders.getOrder({ orderId }, { call, forwardToken: true });
    const token = call.token ?? "";
    const { expiresAtMs: tokenExpiresAtMs } = await verifier.verify(token);
    const { ticket, expiresAtMs } = tickets.issue(watchPathOf(orderId), token, tokenExpiresAtMs);
    return { ticket, expiresAt: timestampFromMs(expiresAtMs) };
  };

/** Part of a call's time is kept back, so that what is there can be answered although a part does not come in time. */
const shareForParts = 0.9;

/** A method of ours as the edge calls it: with the caller's context, and with our errors as its own. */
function answer<M extends DescMethod>(
  method: M,
  handle: (request: MessageShape<M["input"]>, call: CallContext) => Promise<MessageInitShape<M["output"]>>,
): LocalHandler {
  return async (request, call) => {
    try {
      // The edge decodes by the same method's descriptor.
      return create(method.output, await handle(request as MessageShape<M["input"]>, contextOf(call)));
    } catch (error) {
      throw toEdgeError(error);
    }
  };
}

function contextOf({ metadata, timeoutMs, signal }: LocalCall): CallContext {
  return {
    correlationId: metadata("x-correlation-id") ?? "",
    traceparent: metadata("traceparent"),
    track: trackOf(metadata(trackHeader)),
    deadline: deadlineIn(timeoutMs * shareForParts),
    signal,
    token: metadata("authorization")?.replace(/^bearer +/i, ""),
  };
}
