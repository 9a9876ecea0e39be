import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Order, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { openReconciling, type Reconciling } from "#kit/testing/reconciling.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { aCustomer, aWish, buy, type Customer, read, startOrders } from "./harness.ts";
import {
  type CalleeName,
  freshKey,
  type Goods,
  type ShopProcesses,
  startShopProcesses,
} from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;
let goods: Goods;
let reconciling: Reconciling;
let confirmed: Order;
let declined: Order;
let returned: Order;
let cancelled: Order;

beforeAll(async () => {
  shop = await startShopProcesses();
  service = await startOrders(shop);
  reconciling = openReconciling(service, "orders");
  goods = await shop.sell({ pieces: 100 });
  const customer = aCustomer(service);
  const scarce = await shop.sell({ pieces: 0 });
  [confirmed, declined] = await Promise.all([
    buy(customer, aWish(goods.productId)),
    buy(customer, aWish(goods.productId, { paymentMethod: "pm_card_chargeDeclined" })),
    buy(customer, aWish(goods.productId, { paymentMethod: "pm_card_captureDeclined" })),
    buy(customer, aWish(scarce.productId)),
  ]);
  expect([confirmed.status, declined.status]).toEqual([OrderStatus.CONFIRMED, OrderStatus.CANCELLED]);
  [returned, cancelled] = await Promise.all([givenBack(customer), calledOff(customer)]);
  // Stock is sold when inventory hears of the order.
  await eventually(async () => expect(await reconciling.run("orders-with-stock")).toEqual([]));
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

/** An order of two pieces, of which one came back. */
async function givenBack(customer: Customer): Promise<Order> {
  const lines = [{ productId: goods.productId, quantity: 2 }];
  const { orderId } = await buy(customer, aWish(goods.productId, { lines }));
  await customer.createReturn({ orderId, lines: [{ ...lines[0], quantity: 1 }] }, freshKey());
  return await rested(customer, orderId, OrderStatus.CONFIRMED);
}

async function calledOff(customer: Customer): Promise<Order> {
  const { orderId } = await buy(customer, aWish(goods.productId));
  await customer.cancelOrder({ orderId }, freshKey());
  return await rested(customer, orderId, OrderStatus.CANCELLED);
}

const rested = (customer: Customer, orderId: string, status: OrderStatus) =>
  eventually(async () => {
    const order = await read(customer, orderId);
    expect(order.status).toBe(status);
    return order;
  }, 20_000);

const own = (sql: string) => runSql(service.database.ownerUrl, sql);
const at = (name: CalleeName, sql: string) => runSql(shop.ownerUrl(name), sql);

test("a shop that nobody has tampered with has nothing that disagrees", async () => {
  expect(await reconciling.run("all")).toEqual([]);
  expect(await reconciling.listed()).toEqual([]);
});

interface Damage {
  readonly what: string;
  readonly comparison: string;
  readonly order: () => Order;
  readonly damage: (order: Order) => Promise<unknown>;
  readonly repair: (order: Order) => Promise<unknown>;
  readonly detail: RegExp;
}

/** A change to the row of an order in some database, and the change back. */
function change(run: (sql: string) => Promise<unknown>, table: string, damage: string, repair: string) {
  const update = (set: string) => (order: Order) =>
    run(`update ${table} set ${set} where order_id = '${order.orderId}'`);
  return { damage: update(damage), repair: update(repair) };
}

const payments = (sql: string) => at("payments", sql);
const inventory = (sql: string) => at("inventory", sql);
const shipping = (sql: string) => at("shipping", sql);

const damages: readonly Damage[] = [
  {
    what: "a view whose status was changed",
    comparison: "orders-with-events",
    order: () => confirmed,
    ...change(own, "order_views", "status = 'cancelled'", "status = 'confirmed'"),
    detail: /^its events make it confirmed, its view says cancelled$/,
  },
  {
    what: "a view of an earlier version",
    comparison: "orders-with-events",
    order: () => confirmed,
    ...change(own, "order_views", "version = 1", "version = 2"),
    detail: /^its events make version 2, its view has 1$/,
  },
  {
    what: "a view with other facts",
    comparison: "orders-with-events",
    order: () => confirmed,
    ...change(
      own,
      "order_views",
      "document = document || '\\x6204616263'",
      "document = substring(document for length(document) - 5)",
    ),
    detail: /^its view shows other facts than its events$/,
  },
  {
    what: "an order with an event that nobody can read",
    comparison: "orders-with-events",
    order: () => confirmed,
    damage: ({ orderId }) =>
      own(`update order_events set type = 'eaten' where order_id = '${orderId}' and version = 1`),
    repair: ({ orderId }) =>
      own(`update order_events set type = 'placed' where order_id = '${orderId}' and version = 1`),
    detail: /^it has a view, and no events that amount to an order$/,
  },
  {
    what: "a saga that goes on after its order's end",
    comparison: "orders-with-sagas",
    order: () => confirmed,
    damage: ({ orderId }) =>
      own(
        `update kit.sagas set status = 'running', next_wakeup_at = 'infinity' where subject_id = '${orderId}'`,
      ),
    repair: ({ orderId }) => own(`update kit.sagas set status = 'completed' where subject_id = '${orderId}'`),
    detail: /^it is confirmed, and a saga is still driving it$/,
  },
  {
    what: "a confirmed order whose payment is on hold",
    comparison: "orders-with-payments",
    order: () => confirmed,
    ...change(payments, "payments", "status = 'AUTHORIZED'", "status = 'CAPTURED'"),
    detail: /^confirmed, but its payment payment_\w+ was not taken; \d+ EUR is still on hold by payment_\w+$/,
  },
  {
    what: "a confirmed order that paid too much",
    comparison: "orders-with-payments",
    order: () => confirmed,
    ...change(payments, "payments", "amount_minor = amount_minor + 1", "amount_minor = amount_minor - 1"),
    detail: /^its total is \d+ EUR, \d+ EUR was taken by payment_\w+$/,
  },
  {
    what: "a confirmed order that paid twice",
    comparison: "orders-with-payments",
    order: () => confirmed,
    damage: ({ orderId }) =>
      payments(`insert into payments (payment_id, order_id, authorize_key, customer_id, amount_minor, currency_code, status,
        created_at, updated_at) values ('payment_twice', '${orderId}', 'twice', 'c', 5, 'EUR', 'CAPTURED', now(), now())`),
    repair: () => payments("delete from payments where payment_id = 'payment_twice'"),
    detail: /^confirmed and paid 2 times$/,
  },
  {
    what: "an order of which less was paid back than it says",
    comparison: "orders-with-payments",
    order: () => returned,
    ...change(
      payments,
      "payments",
      "refunded_minor = refunded_minor - 5",
      "refunded_minor = refunded_minor + 5",
    ),
    detail: /^(\d+) EUR of it should be paid back, (\d+) EUR was by payment_\w+$/,
  },
  {
    what: "an order of which more was paid back than it knows",
    comparison: "orders-with-payments",
    order: () => confirmed,
    ...change(payments, "payments", "refunded_minor = 5", "refunded_minor = 0"),
    detail: /^0 EUR of it should be paid back, 5 EUR was by payment_\w+$/,
  },
  {
    what: "a returned piece that is not back in stock",
    comparison: "orders-with-stock",
    order: () => returned,
    ...change(inventory, "returns", "quantities = '{0}'", "quantities = '{1}'"),
    detail: /^1 × TEA-[\w-]+ should be back in stock, 0 × TEA-[\w-]+ is$/,
  },
  {
    what: "a cancelled order whose pieces stay sold",
    comparison: "orders-with-stock",
    order: () => cancelled,
    ...change(
      inventory,
      "returns",
      "skus = '{}', quantities = '{}'",
      `(skus, quantities) = (select skus, quantities
      from reservations r where r.order_id = returns.order_id)`,
    ),
    detail: /^1 × TEA-[\w-]+ should be back in stock, nothing is$/,
  },
  {
    what: "a cancelled order that kept the money",
    comparison: "orders-with-payments",
    order: () => declined,
    ...change(payments, "payments", "status = 'CAPTURED'", "status = 'DECLINED'"),
    detail: /^cancelled, but of \d+ EUR taken by payment_\w+ only 0 EUR was paid back$/,
  },
  {
    what: "a confirmed order whose goods were given back",
    comparison: "orders-with-stock",
    order: () => confirmed,
    ...change(inventory, "reservations", "status = 'released'", "status = 'committed'"),
    detail: /^confirmed, but its reservation reservation_\w+ is released$/,
  },
  {
    what: "a confirmed order that took more pieces than it has",
    comparison: "orders-with-stock",
    order: () => confirmed,
    ...change(inventory, "reservations", "quantities = '{2}'", "quantities = '{1}'"),
    detail: /^ordered 1 × TEA-[\w-]+, sold 2 × TEA-[\w-]+$/,
  },
  {
    what: "a cancelled order that holds pieces",
    comparison: "orders-with-stock",
    order: () => declined,
    ...change(
      inventory,
      "reservations",
      "status = 'held', expires_at = now() + interval '1 hour'",
      "status = 'released'",
    ),
    detail: /^cancelled, but 1 × TEA-[\w-]+ is still set aside$/,
  },
  {
    what: "a confirmed order whose shipment was cancelled",
    comparison: "orders-with-shipments",
    order: () => confirmed,
    ...change(shipping, "shipments", "status = 'CANCELLED'", "status = 'BOOKED'"),
    detail: /^confirmed, but its shipment shipment_\w+ is not booked$/,
  },
  {
    what: "a cancelled order with a shipment",
    comparison: "orders-with-shipments",
    order: () => declined,
    damage: ({ orderId }) =>
      shipping(`insert into shipments (shipment_id, order_id, book_key, customer_id, service_level, pieces, status,
        created_at, updated_at) values ('shipment_stray', '${orderId}', 'stray', 'c', 'STANDARD', 1, 'BOOKED', now(), now())`),
    repair: () => shipping("delete from shipments where shipment_id = 'shipment_stray'"),
    detail: /^cancelled, but shipment_stray is booked$/,
  },
];

describe("what disagrees is found by one comparison, announced once, counted, and settled when it is mended", () => {
  test.each(damages)("$what", async ({ comparison, order, damage, repair, detail }) => {
    const { orderId: subjectId } = order();
    const announcedBefore = await reconciling.announced(subjectId);
    await damage(order());
    expect(await reconciling.run(comparison)).toEqual([{ subjectId, detail: expect.stringMatching(detail) }]);
    expect(await reconciling.run(comparison)).toHaveLength(1);
    expect(await reconciling.listed()).toEqual([`${comparison} ${subjectId}`]);
    expect((await reconciling.announced(subjectId)) - announcedBefore).toBe(1);
    expect(await reconciling.gauge(comparison)).toBe(1);
    await repair(order());
    expect(await reconciling.run(comparison)).toEqual([]);
    expect(await reconciling.gauge(comparison)).toBe(0);
  });
});

test("a pending order that no saga drives is found once it has been at rest for the grace", async () => {
  const { orderId } = confirmed;
  await own(`update order_events set order_id = 'x' where order_id = '${orderId}' and version = 2`);
  const detail = "it is pending, and no saga drives it";
  expect(await reconciling.run("orders-with-sagas", { graceMs: 3_600_000 })).toEqual([]);
  expect(await reconciling.run("orders-with-sagas")).toEqual([{ subjectId: orderId, detail }]);
  await own(`update order_events set order_id = '${orderId}' where order_id = 'x'`);
  expect(await reconciling.run("all")).toEqual([]);
});

test("with payments away the comparison fails, and what stood stands", async () => {
  await at("payments", `update payments set status = 'AUTHORIZED' where order_id = '${confirmed.orderId}'`);
  expect(await reconciling.run("orders-with-payments")).toHaveLength(1);
  await shop.kill("payments");
  await expect(reconciling.run("orders-with-payments")).rejects.toMatchObject({
    reason: "DEPENDENCY_UNAVAILABLE",
  });
  expect(await reconciling.listed()).toEqual([`orders-with-payments ${confirmed.orderId}`]);
});
