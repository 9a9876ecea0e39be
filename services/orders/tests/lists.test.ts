import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { TestService } from "#kit/testing/testing.ts";
import { cancelOrder, confirmOrder } from "../order.ts";
import { updateOrder } from "../order-store.ts";
import { aCustomer, aWish, type Customer, place, startOrders } from "./harness.ts";
import { type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;
let productId: string;

// Nobody reserves stock here, so orders stay where a test puts them.
beforeAll(async () => {
  shop = await startShopProcesses(["catalog", "shipping"]);
  service = await startOrders(shop);
  ({ productId } = await shop.sell());
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

async function placeSeveral(customer: Customer, count: number): Promise<string[]> {
  const orderIds: string[] = [];
  while (orderIds.length < count) orderIds.push((await place(customer, aWish(productId))).orderId);
  return orderIds;
}

/** Reads all pages; bounded, so that a token that leads in a circle fails. */
async function readPages(customer: Customer, request: { pageSize: number; status?: OrderStatus }) {
  const pages: string[][] = [];
  let pageToken = "";
  do {
    const page = await customer.listOrders({ ...request, pageToken });
    pages.push(page.orders.map(({ orderId }) => orderId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && pages.length < 20);
  return pages;
}

describe("the list of a customer's orders", () => {
  test("has the newest first, page by page, each once", async () => {
    const customer = aCustomer(service);
    const placed = await placeSeveral(customer, 5);
    const [e, d, c, b, a] = placed;
    expect(await readPages(customer, { pageSize: 2 })).toEqual([[a, b], [c, d], [e]]);
    expect(await readPages(customer, { pageSize: 5 })).toEqual([[a, b, c, d, e]]);
  });

  test("has 20 orders on a page where no size is asked for", async () => {
    const customer = aCustomer(service);
    await placeSeveral(customer, 21);
    expect((await readPages(customer, { pageSize: 0 })).map((page) => page.length)).toEqual([20, 1]);
  });

  const shiftBack = statement(
    "test-place-at-one-time",
    "update order_views set placed_at = (select min(placed_at) from order_views where customer_id = $1) where customer_id = $1",
  );

  test("skips nothing where orders were placed at the same time", async () => {
    const customer = aCustomer(service);
    const placed = await placeSeveral(customer, 5);
    const { orders } = await customer.listOrders({ pageSize: 1 });
    await service.db.query(shiftBack, [orders[0]?.customerId]);
    expect((await readPages(customer, { pageSize: 2 })).flat()).toEqual(placed.sort().reverse());
  });

  const countSubMillisecond = statement(
    "test-count-sub-millisecond",
    "select count(*)::int as n from order_views where placed_at <> date_trunc('milliseconds', placed_at)",
  );

  test("can be cut behind any order: none is placed between two times a page token can say", async () => {
    const customer = aCustomer(service);
    await placeSeveral(customer, 3);
    expect(await service.db.query(countSubMillisecond)).toEqual([{ n: 0 }]);
  });

  test("shows no other customer's orders", async () => {
    const [one, other] = [aCustomer(service), aCustomer(service)];
    const placed = await placeSeveral(one, 2);
    expect((await readPages(one, { pageSize: 10 })).flat().sort()).toEqual(placed.sort());
    expect(await readPages(other, { pageSize: 10 })).toEqual([[]]);
  });

  test("is filtered by status, on every page", async () => {
    const customer = aCustomer(service);
    const [a, b, c, d] = await placeSeveral(customer, 4);
    const settled = { reservationId: "reservation_1", paymentId: "payment_1", shipmentId: "shipment_1" };
    await service.db.transaction(async (tx) => {
      for (const id of [a, c]) await updateOrder(tx, id ?? "", (order) => cancelOrder(order, "OUT_OF_STOCK"));
      await updateOrder(tx, b ?? "", (order) => confirmOrder(order, settled));
    });
    const only = (status: OrderStatus) => readPages(customer, { pageSize: 1, status });
    expect(await only(OrderStatus.CANCELLED)).toEqual([[c], [a]]);
    expect(await only(OrderStatus.CONFIRMED)).toEqual([[b]]);
    expect(await only(OrderStatus.PENDING)).toEqual([[d]]);
    expect(await only(OrderStatus.UNSPECIFIED)).toEqual([[d], [c], [b], [a]]);
  });
});

describe("a page token", () => {
  const invalid = { reason: "PAGE_TOKEN_INVALID", code: 3 };

  test("that was made up is refused", async () => {
    const customer = aCustomer(service);
    for (const pageToken of ["x", "bm90IGpzb24", Buffer.from('["a","b","c"]').toString("base64url")])
      await expect(customer.listOrders({ pageToken })).rejects.toMatchObject(invalid);
  });

  test("whose contents were changed into something that is no time or no order is refused", async () => {
    const customer = aCustomer(service);
    await placeSeveral(customer, 2);
    const { nextPageToken } = await customer.listOrders({ pageSize: 1 });
    const [hash, placedAt, orderId] = JSON.parse(Buffer.from(nextPageToken, "base64url").toString());
    const forged = (...key: unknown[]) =>
      customer.listOrders({ pageToken: Buffer.from(JSON.stringify([hash, ...key])).toString("base64url") });
    expect((await forged(placedAt, orderId)).orders).toHaveLength(1);
    await expect(forged("now()", orderId)).rejects.toMatchObject(invalid);
    await expect(forged(placedAt, "order_1' or true--")).rejects.toMatchObject(invalid);
    await expect(forged(placedAt)).rejects.toMatchObject(invalid);
    await expect(forged("2026-99-99T99:99:99.999Z", orderId)).rejects.toMatchObject(invalid);
    await expect(forged("9".repeat(14), orderId)).rejects.toMatchObject(invalid);
    expect((await forged("9".repeat(13), orderId)).orders).toHaveLength(2);
  });

  test("of another customer, or for another status, is refused", async () => {
    const [one, other] = [aCustomer(service), aCustomer(service)];
    await placeSeveral(one, 2);
    const { nextPageToken: pageToken } = await one.listOrders({ pageSize: 1 });
    await expect(other.listOrders({ pageToken })).rejects.toMatchObject(invalid);
    await expect(one.listOrders({ pageToken, status: OrderStatus.PENDING })).rejects.toMatchObject(invalid);
    expect((await one.listOrders({ pageToken })).orders).toHaveLength(1);
  });
});

describe("an order of somebody else", () => {
  const notFound = { reason: "ORDER_NOT_FOUND", domain: "orders.souk", code: 5 };

  test("is not found, and neither is one that does not exist: nobody can tell which it is", async () => {
    const [owner, other] = [aCustomer(service), aCustomer(service)];
    const { orderId } = await place(owner, aWish(productId));
    for (const id of [orderId, newId("order")]) {
      const metadata = { order_id: id };
      const message = `There is no order ${id}.`;
      await expect(other.getOrder({ orderId: id })).rejects.toMatchObject({ ...notFound, metadata, message });
      await expect(other.watchOrder({ orderId: id }).next()).rejects.toMatchObject({
        ...notFound,
        metadata,
        message,
      });
    }
    expect((await owner.getOrder({ orderId })).order?.orderId).toBe(orderId);
  });
});
