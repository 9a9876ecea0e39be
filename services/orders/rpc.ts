import { CheckoutStep, OrderStatus, OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, query, stream } from "#kit/service/handlers.ts";
import type { CheckoutInput } from "./checkout-saga.ts";
import { checkExpectedTotal } from "./expected-total.ts";
import {
  fromWireAddress,
  fromWireLevel,
  fromWireStatus,
  type OrderProgress,
  toOrderMessage,
  toPlacedMessage,
  toProgress,
} from "./messages.ts";
import { placeOrder as decideOrder, type OrderPlaced } from "./order.ts";
import { checkSameRequest } from "./order-key.ts";
import { insertOrder, readOrderOfKey, readPage, readView } from "./order-store.ts";
import { hasEnded, isNewer } from "./order-watch.ts";
import { cancelOrder } from "./rpc/cancel-order.ts";
import { announceEvent, customerOf, type OrdersParts, owned } from "./rpc/parts.ts";
import {
  createRefund,
  createReturn,
  getRefund,
  getReturn,
  listRefunds,
  listReturns,
} from "./rpc/refund-order.ts";

const methods = OrdersService.method;

/** Answers the orders contract. */
export const ordersRpc = (options: OrdersParts) => ({
  placeOrder: placeOrder(options),
  getOrder: getOrder(options),
  listOrders: listOrders(options),
  watchOrder: watchOrder(options),
  cancelOrder: cancelOrder(options),
  createReturn: createReturn(options),
  getReturn: getReturn(options),
  listReturns: listReturns(options),
  createRefund: createRefund(options),
  getRefund: getRefund(options),
  listRefunds: listRefunds(options),
});

const placeOrder = (options: OrdersParts) =>
  command(methods.placeOrder, {
    groupCommit: true,
    async prepare({ lines, shippingAddress, serviceLevel }, call) {
      const level = fromWireLevel(serviceLevel);
      const [products, shippingFee] = await Promise.all([
        options.pricing.products(
          lines.map(({ productId }) => productId),
          call,
        ),
        options.pricing.shippingFee(shippingAddress?.countryCode ?? "", level, call),
      ]);
      return { products, shippingFee, serviceLevel: level };
    },
    async apply(tx, request, call, prices) {
      const shippingAddress = fromWireAddress(request.shippingAddress);
      const customerId = customerOf(call);
      const { lines } = request;
      const event = decideOrder({ orderId: newId("order"), customerId, lines, shippingAddress, ...prices });
      checkExpectedTotal(event.total, request.expectedTotal);
      const key = call.idempotencyKey ?? "";
      const placed = await insertOrder(tx, event, key);
      if (!placed) return { order: await placedBefore(tx, event, key) };
      const { order, placedAt } = placed;
      announceEvent(tx, order, event, call);
      startCheckout(options, tx, event, request.paymentMethod, call);
      tx.afterCommit(() => options.watch.begin(customerId, accepted(order.orderId)));
      return { order: toPlacedMessage(order, placedAt) };
    },
  });

/** The order that a customer's key stands for, although the answer it got then has been forgotten. */
async function placedBefore(tx: Transaction, event: OrderPlaced, key: string) {
  const earlier = await readOrderOfKey(tx, event.customerId, key);
  if (!earlier) throw new Error(`a key of ${event.customerId} leads to no order`);
  checkSameRequest(earlier.placed, event);
  return toOrderMessage(earlier.view, undefined);
}

const getOrder = ({ db, findSaga, sagas }: OrdersParts) =>
  query(methods.getOrder, async ({ orderId }, call) => {
    const [view, saga] = await Promise.all([readView(db, orderId), findSaga(sagas.checkout, orderId)]);
    return { order: toOrderMessage(owned(view, orderId, call), saga) };
  });

const listOrders = ({ db, findSagas, sagas }: OrdersParts) =>
  query(methods.listOrders, async ({ pageSize, pageToken, status }, call) => {
    const customerId = customerOf(call);
    const size = pageSize || defaultPageSize;
    const scope = ["ListOrders", customerId, String(status)];
    const [placedAt, orderId] = parsePageToken(scope, pageToken, [timeShape, orderIdShape]) ?? [];
    const after = placedAt && orderId ? { placedAt: new Date(Number(placedAt)), orderId } : undefined;
    const rows = await readPage(db, { customerId, status: fromWireStatus(status), after, limit: size + 1 });
    const { items, last } = cutPage(rows, size);
    const pending = items.filter((view) => view.status === "pending").map((view) => view.orderId);
    const checkouts = await findSagas(sagas.checkout, pending);
    return {
      orders: items.map((view) => toOrderMessage(view, checkouts.get(view.orderId))),
      nextPageToken: last ? toPageToken(scope, [String(last.placedAt.getTime()), last.orderId]) : "",
    };
  });

const watchOrder = ({ db, watch, findSaga, sagas }: OrdersParts) =>
  stream(methods.watchOrder, async function* ({ orderId }, call) {
    // Following begins before the state is read, so that no change falls between the two.
    using changes = watch.follow(orderId, call.signal);
    const first =
      watch.known(orderId, customerOf(call)) ?? (await readProgress({ db, findSaga, sagas }, orderId, call));
    yield first;
    if (hasEnded(first)) return;
    for await (const change of changes) if (isNewer(change, first)) yield change;
  });

async function readProgress(
  { db, findSaga, sagas }: Pick<OrdersParts, "db" | "findSaga" | "sagas">,
  orderId: string,
  call: Call,
): Promise<OrderProgress> {
  const [view, saga] = await Promise.all([readView(db, orderId), findSaga(sagas.checkout, orderId)]);
  return toProgress(owned(view, orderId, call), saga);
}

function startCheckout(
  { startSaga, sagas }: OrdersParts,
  tx: Transaction,
  { orderId, customerId, lines, total, shippingAddress, serviceLevel }: OrderPlaced,
  paymentMethod: string,
  { correlationId }: Call,
) {
  const input: CheckoutInput = {
    customerId,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity })),
    total: { currencyCode: total.currencyCode, amountMinor: String(total.amountMinor) },
    paymentMethod,
    shippingAddress,
    serviceLevel,
  };
  startSaga(tx, sagas.checkout, { subjectId: orderId, correlationId, input });
}

const accepted = (orderId: string): OrderProgress => ({
  orderId,
  status: OrderStatus.PENDING,
  step: CheckoutStep.ACCEPTED,
  cancelReason: "",
});

/** Milliseconds of the Unix epoch: unlike a written date, every such number is a time. */
const timeShape = /^\d{1,13}$/;
const orderIdShape = /^order_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
