import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckoutStep, type Order, OrderStatus, OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";
import {
  aCustomer,
  aWish,
  buy,
  type Customer,
  place,
  publishedOf,
  read,
  startOrders,
  support,
  watch,
} from "./harness.ts";
import { freshKey, type Goods, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;

beforeAll(async () => {
  shop = await startShopProcesses();
  service = await startOrders(shop);
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

/** Fifteen checkouts at once take their time on a busy machine. */
const patienceMs = 25_000;

async function cancel(customer: Customer, orderId: string, key = freshKey()): Promise<Order> {
  const { order } = await customer.cancelOrder({ orderId }, key);
  if (!order) throw new Error("a cancellation was answered without its order");
  return order;
}

const ended = (customer: Customer, orderId: string, status: OrderStatus) =>
  eventually(async () => {
    const order = await read(customer, orderId);
    expect(order.status).toBe(status);
    return order;
  }, patienceMs);

async function outsideDid(orderId: string) {
  const { processor, carrier } = await shop.ledgers(orderId);
  const kinds = (entries: readonly { kind: string }[]) => entries.map(({ kind }) => kind);
  return { processor: kinds(processor).filter((kind) => kind !== "created"), carrier: kinds(carrier) };
}

async function stockOf({ sku }: Goods) {
  const { stock } = await shop.inventory.getStock({ sku });
  return { onHand: stock?.onHand, reserved: stock?.reserved };
}

const typesOf = async (orderId: string) =>
  (await publishedOf(shop.prefix, orderId)).map(({ type }) => type.slice(type.lastIndexOf(".") + 1));

describe("an order that is cancelled while checkout is under way", () => {
  test("ends cancelled by its customer: nothing was taken, and the pieces are back", async () => {
    const goods = await shop.sell({ pieces: 3 });
    const customer = aCustomer(service);
    const { orderId } = await place(customer, aWish(goods.productId, { paymentMethod: "pm_card_slow" }));
    const watching = watch(customer, orderId);
    expect(await cancel(customer, orderId)).toMatchObject({
      orderId,
      status: OrderStatus.CANCELLING,
      step: CheckoutStep.UNDOING,
    });
    const order = await ended(customer, orderId, OrderStatus.CANCELLED);
    expect(order).toMatchObject({ cancelReason: "CUSTOMER_CANCELLED", paymentId: "", version: 3n });
    expect(order.refunded?.amountMinor).toBe(0n);
    const { processor, carrier } = await outsideDid(orderId);
    expect(processor).not.toContain("captured");
    expect(processor.filter((kind) => kind === "canceled")).toHaveLength(
      processor.filter((kind) => kind === "authorized").length,
    );
    expect(carrier.filter((kind) => kind === "canceled")).toHaveLength(
      carrier.filter((kind) => kind === "booked").length,
    );
    expect(await stockOf(goods)).toEqual({ onHand: 3, reserved: 0 });
    const seen = (await watching).map(({ status }) => status);
    expect(seen.slice(-2)).toEqual([OrderStatus.CANCELLING, OrderStatus.CANCELLED]);
    await eventually(async () =>
      expect(await typesOf(orderId)).toEqual(["OrderPlaced", "CancellationRequested", "OrderCancelled"]),
    );
  });

  test("at any moment ends cancelled with no money kept, whoever comes first at the capture", async () => {
    const goods = await shop.sell({ pieces: 50 });
    const customer = aCustomer(service);
    const orders = await Promise.all(
      Array.from({ length: 15 }, async (_, index) => {
        const { orderId } = await place(customer, aWish(goods.productId));
        // Spread over checkout's usual length, its capture included.
        await eventually(async () => {
          const { step, status } = await read(customer, orderId);
          expect(status !== OrderStatus.PENDING || step >= 1 + (index % 5)).toBe(true);
        }, patienceMs);
        await cancel(customer, orderId);
        return orderId;
      }),
    );
    for (const orderId of orders) {
      const order = await ended(customer, orderId, OrderStatus.CANCELLED);
      expect(order.cancelReason).toBe("CUSTOMER_CANCELLED");
      const { processor, carrier } = await outsideDid(orderId);
      const count = (kind: string) => processor.filter((one) => one === kind).length;
      expect([count("captured"), count("refunded")]).toEqual(order.paymentId === "" ? [0, 0] : [1, 1]);
      expect(carrier.at(-1) ?? "canceled").toBe("canceled");
    }
    await eventually(
      async () => expect(await stockOf(goods)).toEqual({ onHand: 50, reserved: 0 }),
      patienceMs,
    );
  }, 90_000);
});

describe("a confirmed order that is cancelled", () => {
  test("is given back: shipment cancelled, all money back once, pieces in stock", async () => {
    const goods = await shop.sell({ pieces: 5 });
    const customer = aCustomer(service);
    const lines = [{ productId: goods.productId, quantity: 2 }];
    const { orderId, total } = await buy(customer, aWish(goods.productId, { lines }));
    expect((await cancel(customer, orderId)).status).toBe(OrderStatus.CANCELLING);
    const seen = await watch(customer, orderId);
    expect(seen.at(-1)).toMatchObject({
      status: OrderStatus.CANCELLED,
      cancelReason: "CUSTOMER_CANCELLED",
    });
    expect(await read(customer, orderId)).toMatchObject({
      status: OrderStatus.CANCELLED,
      refunded: { amountMinor: total?.amountMinor },
    });
    const { processor } = await shop.ledgers(orderId);
    const refunds = processor.filter(({ kind }) => kind === "refunded");
    expect(refunds.map(({ amount }) => amount)).toEqual([Number(total?.amountMinor)]);
    expect((await outsideDid(orderId)).carrier).toEqual(["booked", "canceled"]);
    expect(await stockOf(goods)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("twice ends once: with the same key, with another, after its end, and 25 hours later", async () => {
    const goods = await shop.sell({ pieces: 5 });
    const customer = aCustomer(service);
    const { orderId } = await buy(customer, aWish(goods.productId));
    const key = freshKey();
    const answers = await Promise.all([
      cancel(customer, orderId, key),
      cancel(customer, orderId, key),
      cancel(customer, orderId),
      cancel(customer, orderId),
    ]);
    for (const { status } of answers)
      expect([OrderStatus.CANCELLING, OrderStatus.CANCELLED]).toContain(status);
    await ended(customer, orderId, OrderStatus.CANCELLED);
    expect((await cancel(customer, orderId)).status).toBe(OrderStatus.CANCELLED);
    await service.passADay();
    expect((await cancel(customer, orderId, key)).status).toBe(OrderStatus.CANCELLED);
    expect((await outsideDid(orderId)).processor).toEqual(["authorized", "captured", "refunded"]);
    expect(await stockOf(goods)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("is refused once the parcel has left, and nothing is touched", async () => {
    const goods = await shop.sell({ pieces: 5 });
    const customer = aCustomer(service);
    const before = await buy(customer, aWish(goods.productId));
    await shop.dispatch(before.orderId);
    await expect(cancel(customer, before.orderId)).rejects.toMatchObject({
      reason: "ORDER_ALREADY_DISPATCHED",
      metadata: { order_id: before.orderId },
    });
    expect(await read(customer, before.orderId)).toEqual(before);
    expect((await outsideDid(before.orderId)).processor).toEqual(["authorized", "captured"]);
  });
});

describe("cancelling somebody else's order", () => {
  test("is as if there were none", async () => {
    const goods = await shop.sell({ pieces: 1 });
    const { orderId } = await buy(aCustomer(service), aWish(goods.productId));
    for (const id of [orderId, newId("order")])
      await expect(cancel(aCustomer(service), id)).rejects.toMatchObject({ reason: "ORDER_NOT_FOUND" });
  });

  test("is what support may do, and nobody without the scope", async () => {
    const goods = await shop.sell({ pieces: 1 });
    const customer = aCustomer(service);
    const { orderId } = await buy(customer, aWish(goods.productId));
    const reader = service.client(OrdersService, { sub: "user_reader", scope: "orders:read" });
    await expect(cancel(reader, orderId)).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
    await cancel(support(service), orderId);
    await ended(customer, orderId, OrderStatus.CANCELLED);
    expect((await read(support(service), orderId)).cancelReason).toBe("CUSTOMER_CANCELLED");
  });
});
