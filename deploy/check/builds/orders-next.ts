// The release of orders after this one, for `npm run cluster:check`: checkout has a step more, orders have an event and a column more
// (9000-next.sql), and an event more is announced.

import { clone, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_souk_orders_v1_events } from "#gen/souk/orders/v1/events_pb.ts";
import { announce } from "#kit/outbox/outbox.ts";
import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { SagaDefinition, SagaStep } from "#kit/saga/definition.ts";
import { type CommandHandler, Refusal } from "#kit/service/handlers.ts";
import { defineService, type Resources, run } from "#kit/service/service.ts";
import { orders } from "../../../services/orders/main.ts";

/** Beside what the release before knows: a second event of each order, and by whom it was noted. */
const noteOrder = statement(
  "orders-note",
  `with noted as (
     insert into order_events (order_id, version, type, payload, occurred_at) values ($1, 2, 'noted', $2, souk_now())
     on conflict do nothing returning order_id)
   update order_views v set version = 2, noted_by = 'next' from noted where v.order_id = noted.order_id
   returning v.order_id`,
);

const inspect: SagaStep<unknown> = {
  name: "inspect",
  attemptTimeoutMs: 1_000,
  budgetMs: 5_000,
  do: async () => ({ inspected: true }),
};

/** Checkout with a step more before its pivot; what began without it ends without it. */
export function withStep<Input>(saga: SagaDefinition<Input>): SagaDefinition<Input> {
  const { version, steps } = saga;
  const pivot = steps.findIndex((step) => step.pivot);
  return {
    ...saga,
    version: version + 1,
    steps: steps.toSpliced(pivot, 0, inspect),
    earlier: [{ version, steps }, ...(saga.earlier ?? [])],
  };
}

/** An event of the orders' package that nobody has heard of: shaped like one that is there, under another name. */
export function orderNoted(): DescMessage {
  const file = clone(FileDescriptorProtoSchema, file_souk_orders_v1_events.proto);
  file.name = "souk/orders/v1/next.proto";
  file.messageType = file.messageType.filter(({ name }) => name === "OrderConfirmed");
  for (const message of file.messageType) message.name = "OrderNoted";
  const { dependencies } = file_souk_orders_v1_events;
  const registry = createFileRegistry(file, (path) => dependencies.find(({ proto }) => proto.name === path));
  const noted = registry.getMessage("souk.orders.v1.OrderNoted");
  if (!noted) throw new Error("the orders' package has no event to be shaped like");
  return noted;
}

type PlaceOrder = CommandHandler<unknown, { order?: { orderId: string; customerId: string } }>;

function withNote(place: PlaceOrder): PlaceOrder {
  const event = orderNoted();
  return {
    ...place,
    command: {
      ...place.command,
      async apply(tx: Transaction, request: unknown, call: Call, prepared: unknown) {
        const placed = await place.command.apply(tx, request, call, prepared);
        const order = placed instanceof Refusal ? undefined : placed.order;
        if (!order) return placed;
        const { orderId, customerId } = order;
        const [noted] = await tx.query(noteOrder, [orderId, Buffer.from("noted")]);
        const { correlationId, traceparent } = call;
        const about = { aggregateVersion: 2, previousVersion: 1, correlationId, traceparent };
        if (noted) announce(tx, event, { orderId, customerId }, about);
        return placed;
      },
    },
  };
}

/** The next release. */
export const ordersNext = defineService({
  ...orders,
  wire(resources, config) {
    // Checkout is begun by what the service knows it as, so whoever begins it has to be told of its new step.
    const startSaga: Resources["startSaga"] = (tx, saga, from) =>
      resources.startSaga(tx, saga.name === "checkout" ? withStep(saga) : saga, from);
    const wiring = orders.wire({ ...resources, startSaga }, config);
    return {
      ...wiring,
      rpcs: wiring.rpcs.map(({ descriptor, handlers }) => ({
        descriptor,
        handlers: { ...handlers, placeOrder: withNote(handlers.placeOrder as PlaceOrder) },
      })),
      sagas: (wiring.sagas ?? []).map((saga) => (saga.name === "checkout" ? withStep(saga) : saga)),
    };
  },
});

if (import.meta.main) await run(ordersNext);
