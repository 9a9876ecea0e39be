import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { type Order, OrderStatus, RefundStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";
import {
  aCustomer,
  aWish,
  buy,
  type Customer,
  publishedOf,
  read,
  startOrders,
  support,
  watch,
} from "./harness.ts";
import { freshKey, type Goods, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

const priceMinor = 1_999n;
const feeMinor = 490n;

let shop: ShopProcesses;
let service: TestService;
let staff: Customer;

beforeAll(async () => {
  shop = await startShopProcesses();
  service = await startOrders(shop);
  staff = support(service);
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

interface Bought {
  readonly customer: Customer;
  readonly goods: Goods;
  readonly orderId: string;
}

/** An order of three pieces of ten. */
async function bought(): Promise<Bought> {
  const goods = await shop.sell({ pieces: 10, amountMinor: priceMinor });
  const customer = aCustomer(service);
  const lines = [{ productId: goods.productId, quantity: 3 }];
  const { orderId } = await buy(customer, aWish(goods.productId, { lines }));
  await eventually(async () => expect(await onHand(goods)).toBe(7));
  return { customer, goods, orderId };
}

const onHand = async ({ sku }: Goods) => (await shop.inventory.getStock({ sku })).stock?.onHand;

const giveBack = (
  { orderId, goods }: Pick<Bought, "orderId" | "goods">,
  by: Customer,
  quantity: number,
  { unsellable = false, key = freshKey() } = {},
) =>
  by.createReturn(
    { orderId, lines: [{ productId: goods.productId, quantity }], unsellable, note: "too red" },
    key,
  );

const payBack = ({ orderId }: Bought, amountMinor: bigint, { currencyCode = "EUR", key = freshKey() } = {}) =>
  staff.createRefund({ orderId, amount: { currencyCode, amountMinor }, note: "sorry" }, key);

const settled = ({ customer, orderId }: Bought): Promise<Order> =>
  eventually(async () => {
    const order = await read(customer, orderId);
    expect(order.status).not.toBe(OrderStatus.REFUNDING);
    return order;
  });

/** What went back to the card, payment by payment. */
async function refundsOf({ orderId }: Bought) {
  const { processor } = await shop.ledgers(orderId);
  return processor.filter(({ kind }) => kind === "refunded").map(({ amount }) => amount);
}

describe("a return", () => {
  test("of a part pays its pieces back and puts them into stock; the order stays confirmed", async () => {
    const order = await bought();
    const { customer, orderId, goods } = order;
    const { return: accepted } = await giveBack(order, customer, 2);
    expect(accepted).toMatchObject({
      returnId: expect.stringMatching(/^return_/),
      orderId,
      status: RefundStatus.PENDING,
      lines: [{ productId: goods.productId, sku: goods.sku, quantity: 2 }],
      amount: { currencyCode: "EUR", amountMinor: 2n * priceMinor },
      note: "too red",
    });
    const returnId = accepted?.returnId ?? "";
    const after = await settled(order);
    expect(after).toMatchObject({
      status: OrderStatus.CONFIRMED,
      refunded: { amountMinor: 2n * priceMinor },
      lines: [{ quantity: 3, returnedQuantity: 2, refundedQuantity: 2 }],
      returns: [{ returnId, status: RefundStatus.COMPLETED }],
      refunds: [],
    });
    expect(await refundsOf(order)).toEqual([Number(2n * priceMinor)]);
    expect(await onHand(goods)).toBe(9);
    const { movements } = await shop.inventory.listMovements({ sku: goods.sku });
    expect(movements[0]).toMatchObject({ quantity: 2, reason: MovementReason.RETURNED, orderId });
    expect((await customer.getReturn({ orderId, returnId })).return).toEqual(after.returns[0]);
    expect((await customer.listReturns({ orderId })).returns).toEqual(after.returns);
    await eventually(async () => {
      const events = await publishedOf(shop.prefix, orderId);
      expect(events.map(({ type }) => type.slice(type.lastIndexOf(".") + 1))).toEqual([
        "OrderPlaced",
        "OrderConfirmed",
        "ReturnAccepted",
        "OrderRefunded",
      ]);
      expect(events.map(({ version }) => version)).toEqual(["1", "2", "3", "4"]);
    });
  });

  test("of everything pays back the shipping fee too, and is watched to its end: refunded", async () => {
    const order = await bought();
    const { customer, orderId } = order;
    await giveBack(order, customer, 3);
    const seen = (await watch(customer, orderId)).map(({ status }) => status);
    expect(seen.at(-1)).toBe(OrderStatus.REFUNDED);
    const after = await read(customer, orderId);
    expect(after.refunded).toEqual(after.total);
    expect(await refundsOf(order)).toEqual([Number(3n * priceMinor + feeMinor)]);
    const { orders } = await customer.listOrders({ status: OrderStatus.REFUNDED });
    expect(orders.map((one) => one.orderId)).toEqual([orderId]);
  });

  test("of pieces that nobody can sell leaves the stock as it is", async () => {
    const order = await bought();
    await giveBack(order, staff, 1, { unsellable: true });
    expect(await settled(order)).toMatchObject({ lines: [{ returnedQuantity: 1 }] });
    expect(await refundsOf(order)).toEqual([Number(priceMinor)]);
    expect(await onHand(order.goods)).toBe(7);
  });

  test("under the same key is one return: asked for twice at once, and 25 hours later; never another one", async () => {
    const order = await bought();
    const key = freshKey();
    const again = () => giveBack(order, order.customer, 1, { key });
    const [first, second] = await Promise.all([again(), again()]);
    expect(first).toEqual(second);
    await settled(order);
    await service.passADay();
    expect((await again()).return).toEqual({ ...first.return, status: RefundStatus.COMPLETED });
    const others = [
      giveBack(order, order.customer, 2, { key }),
      giveBack(order, order.customer, 1, { key, unsellable: true }),
    ];
    for (const other of await Promise.allSettled(others))
      expect(other).toMatchObject({ reason: { reason: "IDEMPOTENCY_KEY_REUSED" } });
    expect((await settled(order)).returns).toHaveLength(1);
    expect(await refundsOf(order)).toEqual([Number(priceMinor)]);
    expect(await onHand(order.goods)).toBe(8);
  });

  test("of more pieces than are left is refused, however many ask at once", async () => {
    const order = await bought();
    const ends = await Promise.allSettled(
      Array.from({ length: 6 }, () => giveBack(order, order.customer, 1)),
    );
    const refusals = ends.flatMap((end) => (end.status === "rejected" ? [end.reason.reason] : []));
    expect(refusals).toEqual(Array.from({ length: 3 }, () => "QUANTITY_EXCEEDS_ORDER"));
    const after = await eventually(async () => {
      const now = await read(order.customer, order.orderId);
      expect(now.status).toBe(OrderStatus.REFUNDED);
      return now;
    });
    expect(after.refunded).toEqual(after.total);
    const paidBack = (await refundsOf(order)).reduce<number>((sum, amount) => sum + (amount ?? 0), 0);
    expect(paidBack).toBe(Number(after.total?.amountMinor));
    expect(await onHand(order.goods)).toBe(10);
  });
});

describe("a refund without a return", () => {
  test("twice, then too much: the third is refused, and the card has what the first two were", async () => {
    const order = await bought();
    await payBack(order, 1_000n);
    await payBack(order, 500n);
    const refused = { reason: "REFUND_EXCEEDS_PAYMENT", metadata: { left_minor: "4987" } };
    await expect(payBack(order, 4_988n)).rejects.toMatchObject(refused);
    await expect(payBack(order, 1n, { currencyCode: "USD" })).rejects.toMatchObject({
      reason: "REFUND_CURRENCY_MISMATCH",
    });
    const after = await settled(order);
    expect(after).toMatchObject({ status: OrderStatus.CONFIRMED, refunded: { amountMinor: 1_500n } });
    expect((await refundsOf(order)).sort()).toEqual([1_000, 500]);
    expect(await onHand(order.goods)).toBe(7);
    const { orderId, customer } = order;
    const { refunds } = await customer.listRefunds({ orderId });
    expect(refunds).toEqual(after.refunds);
    const refundId = refunds[1]?.refundId ?? "";
    expect((await customer.getRefund({ orderId, refundId })).refund).toEqual(refunds[1]);
  });

  test("under the same key is one refund 25 hours later too, and of no other order", async () => {
    const [order, another] = [await bought(), await bought()];
    const key = freshKey();
    const first = await payBack(order, 100n, { key });
    await settled(order);
    await service.passADay();
    const late = await payBack(order, 100n, { key });
    expect(late.refund).toEqual({ ...first.refund, status: RefundStatus.COMPLETED });
    const others = [payBack(order, 101n, { key }), payBack(another, 100n, { key })];
    for (const other of await Promise.allSettled(others))
      expect(other).toMatchObject({ reason: { reason: "IDEMPOTENCY_KEY_REUSED" } });
    expect(await refundsOf(order)).toEqual([100]);
    expect(await refundsOf(another)).toEqual([]);
  });

  test("of pieces pays them back and leaves them with the customer", async () => {
    const order = await bought();
    const { orderId, goods } = order;
    await staff.createRefund({ orderId, lines: [{ productId: goods.productId, quantity: 1 }] }, freshKey());
    expect(await settled(order)).toMatchObject({
      lines: [{ returnedQuantity: 0, refundedQuantity: 1 }],
      refunds: [{ amount: { amountMinor: priceMinor } }],
    });
    expect(await onHand(goods)).toBe(7);
  });

  test("that payments refuses is shown as refused, with the reason, and counts for nothing", async () => {
    const order = await bought();
    const { paymentId } = await read(order.customer, order.orderId);
    // Support pays everything back past the order; it does not know of it.
    await shop.payBack(paymentId);
    await payBack(order, 100n);
    const after = await settled(order);
    expect(after).toMatchObject({
      status: OrderStatus.CONFIRMED,
      refunded: { amountMinor: 0n },
      refunds: [{ status: RefundStatus.REFUSED, refuseReason: "REFUND_EXCEEDS_CAPTURE" }],
    });
    expect(await refundsOf(order)).toEqual([Number(after.total?.amountMinor)]);
  });

  test("names lines or an amount, not both and not neither", async () => {
    const { orderId, goods } = await bought();
    const lines = [{ productId: goods.productId, quantity: 1 }];
    const amount = { currencyCode: "EUR", amountMinor: 1n };
    for (const request of [{}, { lines, amount }, { amount: { ...amount, amountMinor: 0n } }])
      await expect(staff.createRefund({ orderId, ...request }, freshKey())).rejects.toMatchObject({
        reason: "VALIDATION_FAILED",
      });
  });

  test("is not for customers", async () => {
    const { customer, orderId } = await bought();
    const amount = { currencyCode: "EUR", amountMinor: 1n };
    await expect(customer.createRefund({ orderId, amount }, freshKey())).rejects.toMatchObject({
      reason: "SCOPE_MISSING",
    });
  });
});

describe("of an order that is not the caller's", () => {
  test("nothing is returned or told", async () => {
    const order = await bought();
    const stranger = aCustomer(service);
    const { orderId } = order;
    const notFound = { reason: "ORDER_NOT_FOUND" };
    await expect(giveBack(order, stranger, 1)).rejects.toMatchObject(notFound);
    await expect(stranger.listReturns({ orderId })).rejects.toMatchObject(notFound);
    await expect(stranger.listRefunds({ orderId })).rejects.toMatchObject(notFound);
  });

  test("and of returns and refunds that it has not, the reason says which is missing", async () => {
    const { customer, orderId } = await bought();
    await expect(customer.getReturn({ orderId, returnId: newId("return") })).rejects.toMatchObject({
      reason: "RETURN_NOT_FOUND",
    });
    await expect(customer.getRefund({ orderId, refundId: newId("refund") })).rejects.toMatchObject({
      reason: "REFUND_NOT_FOUND",
    });
  });
});

test("an order with a return under way is not cancelled until it is done, then the rest is", async () => {
  const order = await bought();
  const { customer, orderId, goods } = order;
  const [returned, cancelled] = await Promise.allSettled([
    giveBack(order, customer, 1),
    customer.cancelOrder({ orderId }, freshKey()),
  ]);
  expect([returned.status, cancelled.status]).toContain("fulfilled");
  await eventually(async () => {
    await customer.cancelOrder({ orderId }, freshKey());
    expect((await read(customer, orderId)).status).toBe(OrderStatus.CANCELLED);
  });
  const after = await read(customer, orderId);
  expect(after.refunded).toEqual(after.total);
  const paidBack = (await refundsOf(order)).reduce<number>((sum, amount) => sum + (amount ?? 0), 0);
  expect(paidBack).toBe(Number(after.total?.amountMinor));
  expect(await onHand(goods)).toBe(10);
});
