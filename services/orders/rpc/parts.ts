import type { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { Client } from "#kit/rpc/client.ts";
import type { Resources } from "#kit/service/service.ts";
import { placeOf, toAnnouncement } from "../messages.ts";
import type { Order, OrderEvent } from "../order.ts";
import { orderNotFound } from "../order-refusals.ts";
import type { OrderSagas } from "../order-sagas.ts";
import { updateLockedOrder } from "../order-store.ts";
import type { OrderView } from "../order-view.ts";
import type { OrderWatch } from "../order-watch.ts";
import type { Pricing } from "../pricing.ts";

/** What the handlers work with. */
export interface OrdersParts
  extends Pick<Resources, "startSaga" | "findSaga" | "findSagas" | "turnSagaBack"> {
  readonly db: Database;
  readonly pricing: Pricing;
  readonly shipping: Client<typeof ShippingService>;
  readonly watch: OrderWatch;
  readonly sagas: OrderSagas;
}

/** Every method here needs a token, so there is a principal. */
export const customerOf = ({ principal }: Call) => principal?.subject ?? "";

/** Somebody else's order is not found: its existence is nobody else's business but support's. */
export function owned(view: OrderView | undefined, orderId: string, call: Call): OrderView {
  const mayActForOthers = call.principal?.scopes.has("payments:refund") === true;
  if (!view || (view.customerId !== customerOf(call) && !mayActForOthers)) throw orderNotFound(orderId);
  return view;
}

/** Announces what a call did to an order; `order` is as it is afterwards. */
export function announceEvent(tx: Transaction, order: Order, event: OrderEvent, call: Call) {
  const [schema, message] = toAnnouncement(order, event);
  const { correlationId, traceparent } = call;
  announce(tx, schema, message, { ...placeOf(order), correlationId, traceparent });
}

/** Decides about an order in its turn, appends and announces. `event` is undefined where nothing was decided. */
export async function change<Event extends OrderEvent>(
  tx: Transaction,
  orderId: string,
  call: Call,
  decide: (order: Order) => Event | undefined,
): Promise<{ order: Order; event: Event | undefined }> {
  let event: Event | undefined;
  const order = await updateLockedOrder(tx, orderId, (before) => {
    event = decide(before);
    return event;
  });
  if (event) announceEvent(tx, order, event, call);
  return { order, event };
}
