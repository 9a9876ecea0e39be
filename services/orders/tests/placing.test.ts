import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { OrderPlacedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { CheckoutStep, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";
import {
  aCustomer,
  address,
  aWish,
  customerNamed,
  eventsOf,
  place,
  plain,
  publishedOf,
  read,
  startOrders,
} from "./harness.ts";
import { freshKey, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;

// Prices are all that placing needs: whether an order can be carried out is found out afterwards.
beforeAll(async () => {
  shop = await startShopProcesses(["catalog", "shipping"]);
  service = await startOrders(shop);
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

const countOrders = statement("test-count-orders", "select count(*)::int as n from order_views");

async function ordersIn({ db }: TestService): Promise<number> {
  const [row] = await db.query<{ n: number }>(countOrders);
  return row?.n ?? -1;
}

test("what the customer is answered is what was written down", async () => {
  const [teapot, mug] = await Promise.all([
    shop.sell({ amountMinor: 2_999n }),
    shop.sell({ amountMinor: 850n }),
  ]);
  const lines = [teapot, mug, teapot].map(({ productId }, index) => ({ productId, quantity: index + 1 }));
  const wish = { ...aWish(""), lines, serviceLevel: ServiceLevel.EXPRESS };
  const order = await place(aCustomer(service), wish);

  expect(order).toMatchObject({
    status: OrderStatus.PENDING,
    step: CheckoutStep.ACCEPTED,
    cancelReason: "",
    version: 1n,
    lines: [
      { ...teapot, name: "Teapot", quantity: 4, unitPrice: { currencyCode: "EUR", amountMinor: 2_999n } },
      { ...mug, name: "Teapot", quantity: 2, unitPrice: { currencyCode: "EUR", amountMinor: 850n } },
    ],
    subtotal: { currencyCode: "EUR", amountMinor: 13_696n },
    shippingFee: { currencyCode: "EUR", amountMinor: 1_290n },
    total: { currencyCode: "EUR", amountMinor: 14_986n },
    shippingAddress: { ...address, line2: "" },
    serviceLevel: ServiceLevel.EXPRESS,
  });
  const rows = await eventsOf(service.db, order.orderId);
  expect(rows.map(({ version, event }) => [version, event.type])).toEqual([[1n, "placed"]]);
  const { orderId, customerId, lines: priced, subtotal, shippingFee, total, shippingAddress } = plain(order);
  const lineFacts = priced.map(({ productId, sku, name, quantity, unitPrice }) => {
    return { productId, sku, name, quantity, unitPrice };
  });
  const facts = { orderId, customerId, lines: lineFacts, subtotal, shippingFee, total, shippingAddress };
  expect(plain(rows[0]?.event)).toEqual({ type: "placed", serviceLevel: "express", ...facts });
  const placedAt = order.placedAt && timestampDate(order.placedAt);
  expect(rows[0]?.occurredAt).toEqual(placedAt);
  expect(await read(customerNamed(service, customerId), orderId)).toMatchObject({
    ...order,
    updatedAt: order.placedAt,
  });
});

test("a placed order is announced as its first version, tied to the request that placed it", async () => {
  const { productId } = await shop.sell();
  const correlationId = newId("request");
  const { order } = await aCustomer(service).placeOrder(aWish(productId), { ...freshKey(), correlationId });
  const orderId = order?.orderId ?? "";
  const [event, ...others] = await eventually(async () => {
    const events = await publishedOf(shop.prefix, orderId);
    expect(events).not.toEqual([]);
    return events;
  });
  expect(others).toEqual([]);
  expect(event).toMatchObject({ type: "souk.orders.v1.OrderPlaced", version: "1", correlationId });
  expect(event?.subject).toBe(`${shop.prefix}.orders.v1.OrderPlaced`);
  expect(fromBinary(OrderPlacedSchema, event?.payload ?? new Uint8Array())).toMatchObject({
    orderId,
    total: order?.total,
    lines: order?.lines,
  });
});

describe("the same request under the same key", () => {
  test("is one order, however often and however quickly it is sent", async () => {
    const { productId } = await shop.sell();
    const customer = aCustomer(service);
    const key = freshKey();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => customer.placeOrder(aWish(productId), key)),
    );
    expect(new Set(answers.map(({ order }) => order?.orderId)).size).toBe(1);
    expect((await customer.listOrders({})).orders).toHaveLength(1);
  });

  test("of two customers is an order each", async () => {
    const { productId } = await shop.sell();
    const key = freshKey();
    const [one, two] = await Promise.all(
      [aCustomer(service), aCustomer(service)].map((customer) => customer.placeOrder(aWish(productId), key)),
    );
    expect(one?.order?.orderId).not.toBe(two?.order?.orderId);
  });
});

describe("prices", () => {
  test("an order keeps the price it was placed at; the next one has the new price soon", async () => {
    const { productId } = await shop.sell({ amountMinor: 1_000n });
    const customer = aCustomer(service);
    const first = await place(customer, aWish(productId));
    await shop.catalog.updateProduct(
      {
        productId,
        product: { price: { currencyCode: "EUR", amountMinor: 1_500n } },
        updateMask: { paths: ["price"] },
      },
      freshKey(),
    );
    // Well below the time for which a price is remembered, so it is the catalog's event that brings the news.
    const next = await eventually(async () => {
      const order = await place(customer, aWish(productId));
      expect(order.subtotal?.amountMinor).toBe(1_500n);
      return order;
    }, 5_000);
    expect(next.total?.amountMinor).toBe(1_990n);
    expect(await read(customer, first.orderId)).toMatchObject({
      subtotal: { amountMinor: 1_000n },
      total: { amountMinor: 1_490n },
      lines: [{ unitPrice: { amountMinor: 1_000n } }],
    });
  });

  test("what is taken out of the assortment is not sold any more soon", async () => {
    const { productId } = await shop.sell();
    const customer = aCustomer(service);
    await place(customer, aWish(productId));
    await shop.catalog.archiveProduct({ productId }, freshKey());
    await eventually(async () => {
      await expect(place(customer, aWish(productId))).rejects.toMatchObject({ reason: "PRODUCT_NOT_SOLD" });
    }, 5_000);
  });
});

describe("a refused order", () => {
  const refused = async (wish: ReturnType<typeof aWish>, refusal: object) => {
    const before = await ordersIn(service);
    await expect(place(aCustomer(service), wish)).rejects.toMatchObject(refusal);
    expect(await ordersIn(service)).toBe(before);
  };

  test("for a product that is not sold names it", async () => {
    const productId = newId("product");
    const metadata = { product_id: productId };
    await refused(aWish(productId), { reason: "PRODUCT_NOT_SOLD", domain: "orders.souk", code: 9, metadata });
  });

  test("for a product in another currency names it", async () => {
    const { productId } = await shop.sell({ currencyCode: "USD" });
    const metadata = { product_id: productId };
    await refused(aWish(productId), {
      reason: "CURRENCY_MISMATCH",
      domain: "orders.souk",
      code: 9,
      metadata,
    });
  });

  test("to a country that is not served says whose refusal it is", async () => {
    const { productId } = await shop.sell();
    const shippingAddress = { ...address, countryCode: "KP" };
    await refused(aWish(productId, { shippingAddress }), {
      reason: "COUNTRY_NOT_SERVED",
      domain: "shipping.souk",
    });
  });

  test("with nothing in it, or a card number instead of a reference, names the field", async () => {
    const { productId } = await shop.sell();
    const violating = (field: string) => ({
      reason: "VALIDATION_FAILED",
      violations: [expect.objectContaining({ field })],
    });
    await refused({ ...aWish(productId), lines: [] }, violating("lines"));
    await refused(aWish(productId, { paymentMethod: "4242424242424242" }), violating("payment_method"));
  });

  test("that costs something else than its customer was shown says what it costs", async () => {
    const { productId } = await shop.sell({ amountMinor: 1_000n });
    const showing = (amountMinor: bigint) =>
      aWish(productId, { expectedTotal: { currencyCode: "EUR", amountMinor } });
    const { total } = await place(aCustomer(service), aWish(productId));
    const shown = total?.amountMinor ?? 0n;
    expect((await place(aCustomer(service), showing(shown))).total).toEqual(total);
    const metadata = { total_currency: "EUR", total_minor: String(shown) };
    await refused(showing(shown - 1n), { reason: "TOTAL_DIFFERS", domain: "orders.souk", code: 9, metadata });
  });

  test("whose total no payment can move is refused before anything is set aside, and names the field", async () => {
    const { productId } = await shop.sell({ amountMinor: 1_000_000_000_000n });
    const violations = [expect.objectContaining({ field: "lines" })];
    await refused(aWish(productId), { reason: "VALIDATION_FAILED", code: 3, violations });
  });
});

describe("a key whose answer has been forgotten", () => {
  const forget = statement("test-forget", "delete from kit.idempotency where key = $1");

  async function placedAndForgotten() {
    const { productId } = await shop.sell();
    const [customer, wish, key] = [aCustomer(service), aWish(productId), crypto.randomUUID()];
    const { order } = await customer.placeOrder(wish, { idempotencyKey: key });
    await service.db.query(forget, [key]);
    return { customer, wish, key, orderId: order?.orderId };
  }

  test("still stands for its order, also for 20 repeats at once", async () => {
    const { customer, wish, key, orderId } = await placedAndForgotten();
    const before = await ordersIn(service);
    const repeat = () => customer.placeOrder(wish, { idempotencyKey: key });
    const answers = await Promise.all(Array.from({ length: 20 }, repeat));
    expect(new Set(answers.map(({ order }) => order?.orderId))).toEqual(new Set([orderId]));
    expect(await ordersIn(service)).toBe(before);
  });

  test("is refused for another order", async () => {
    const { customer, wish, key } = await placedAndForgotten();
    const before = await ordersIn(service);
    const others = [
      { ...wish, lines: wish.lines.map((line) => ({ ...line, quantity: 9 })) },
      { ...wish, shippingAddress: { ...address, city: "Bremen" } },
      { ...wish, serviceLevel: ServiceLevel.EXPRESS },
    ];
    for (const other of others) {
      await expect(customer.placeOrder(other, { idempotencyKey: key })).rejects.toMatchObject({
        reason: "IDEMPOTENCY_KEY_REUSED",
      });
    }
    expect(await ordersIn(service)).toBe(before);
  });
});
