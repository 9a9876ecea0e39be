import { afterAll, beforeAll, expect, test } from "vitest";
import type { WatchOrderRequest } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Call } from "#kit/rpc/call.ts";
import { startForTest, type TestService } from "#kit/testing/testing.ts";
import { orders } from "../main.ts";
import { cancelOrder, placeOrder } from "../order.ts";
import type { OrderSagas } from "../order-sagas.ts";
import { insertOrder, updateOrder } from "../order-store.ts";
import { createOrderWatch } from "../order-watch.ts";
import { watchElsewhere } from "../order-watch-job.ts";
import { ordersRpc } from "../rpc.ts";
import { address } from "./harness.ts";

const nowhere = "http://127.0.0.1:1";
let service: TestService;

beforeAll(async () => {
  const names = ["CATALOG_URL", "INVENTORY_URL", "PAYMENTS_URL", "SHIPPING_URL"];
  service = await startForTest(orders, { env: Object.fromEntries(names.map((name) => [name, nowhere])) });
});
afterAll(() => service?.stop());

const fee = { currencyCode: "EUR", amountMinor: 490n };

/** An order that nobody drives, of `user_1`. */
async function writeOrder(): Promise<string> {
  const orderId = newId("order");
  const product = { productId: "product_1", sku: "TEA-1", name: "Teapot", price: fee };
  const event = placeOrder({
    orderId,
    customerId: "user_1",
    lines: [{ productId: product.productId, quantity: 1 }],
    products: new Map([[product.productId, product]]),
    shippingFee: fee,
    shippingAddress: { ...address, line2: "" },
    serviceLevel: "standard",
  });
  await service.db.transaction((tx) => insertOrder(tx, event, event.orderId));
  return orderId;
}

const cancel = (orderId: string) =>
  service.db.transaction((tx) => updateOrder(tx, orderId, (order) => cancelOrder(order, "OUT_OF_STOCK")));

/** The handler of WatchOrder on a replica of its own, whose watch can be looked into. */
function aReplica() {
  const watch = createOrderWatch();
  const unused = undefined as never;
  const { watchOrder } = ordersRpc({
    db: service.db,
    watch,
    findSaga: async () => undefined,
    findSagas: async () => new Map(),
    sagas: {} as OrderSagas,
    pricing: unused,
    shipping: unused,
    startSaga: unused,
    turnSagaBack: unused,
  });
  const open = (orderId: string, sub: string, signal = new AbortController().signal) => {
    const call = { principal: { subject: sub, scopes: new Set() }, signal } as unknown as Call;
    return watchOrder.open({ orderId } as WatchOrderRequest, call)[Symbol.asyncIterator]();
  };
  return { watch, open, lookElsewhere: watchElsewhere(service.db, watch).run };
}

test("a replica hears from the database how orders end that others drive, once", async () => {
  const { open, lookElsewhere, watch } = aReplica();
  const orderId = await writeOrder();
  const states = open(orderId, "user_1");
  expect((await states.next()).value).toMatchObject({ orderId, status: 1 });
  const next = states.next();
  await lookElsewhere();
  await cancel(orderId);
  await lookElsewhere();
  await lookElsewhere();
  expect((await next).value).toMatchObject({ orderId, status: 3, cancelReason: "OUT_OF_STOCK" });
  expect((await states.next()).done).toBe(true);
  expect(watch.followed()).toEqual([]);
});

test("nothing is kept of a watcher who was refused", async () => {
  const { open, watch } = aReplica();
  const orderId = await writeOrder();
  for (const id of [orderId, newId("order")])
    await expect(open(id, "user_2").next()).rejects.toMatchObject({ reason: "ORDER_NOT_FOUND" });
  expect(watch.followed()).toEqual([]);
});

test("nothing is kept of a watcher who came after the end", async () => {
  const { open, watch } = aReplica();
  const orderId = await writeOrder();
  await cancel(orderId);
  const states = open(orderId, "user_1");
  expect((await states.next()).value).toMatchObject({ status: 3 });
  expect((await states.next()).done).toBe(true);
  expect(watch.followed()).toEqual([]);
});

test("nothing is kept of a watcher who left early, reading or waiting", async () => {
  const { open, watch } = aReplica();
  const orderId = await writeOrder();
  const leaving = new AbortController();
  const [reader, waiter] = [open(orderId, "user_1"), open(orderId, "user_1", leaving.signal)];
  await Promise.all([reader.next(), waiter.next()]);
  expect(watch.followed()).toEqual([orderId]);
  await reader.return?.();
  const waiting = waiter.next();
  expect(watch.followed()).toEqual([orderId]);
  leaving.abort();
  expect((await waiting).done).toBe(true);
  expect(watch.followed()).toEqual([]);
});

test("no query is made where nobody watches", async () => {
  const { watch } = aReplica();
  const db = { ...service.db, query: () => Promise.reject(new Error("was asked")) };
  await watchElsewhere(db, watch).run();
  using _ = watch.follow("order_1", new AbortController().signal);
  await expect(watchElsewhere(db, watch).run()).rejects.toThrow("was asked");
});
