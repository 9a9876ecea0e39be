import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { OrderCancelledSchema, OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { CheckoutStep, type Order, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";
import { toDocument } from "../messages.ts";
import { cancelOrder, confirmOrder } from "../order.ts";
import { updateOrder } from "../order-store.ts";
import {
  aCustomer,
  address,
  aWish,
  buy,
  customerNamed,
  eventsOf,
  place,
  publishedOf,
  read,
  startOrders,
  stateAfter,
  viewsOf,
  watch,
} from "./harness.ts";
import { freshKey, type Goods, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;
let goods: Goods;

beforeAll(async () => {
  shop = await startShopProcesses();
  service = await startOrders(shop);
  goods = await shop.sell({ pieces: 1_000 });
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

const kinds = (entries: readonly { kind: string }[]) => entries.map(({ kind }) => kind);

/** What card processor and carrier did for an order. */
async function outsideDid({ orderId }: Order) {
  const { processor, carrier } = await shop.ledgers(orderId);
  return { processor: kinds(processor), carrier: kinds(carrier) };
}

async function stockOf({ sku }: Goods) {
  const { stock } = await shop.inventory.getStock({ sku });
  return { onHand: stock?.onHand, reserved: stock?.reserved };
}

describe("an order that goes well", () => {
  test("is confirmed: paid once, booked once, and its pieces sold", async () => {
    const own = await shop.sell({ pieces: 10 });
    const wish = aWish(own.productId, { lines: [{ productId: own.productId, quantity: 3 }] });
    const order = await buy(aCustomer(service), wish);
    expect(order).toMatchObject({
      status: OrderStatus.CONFIRMED,
      step: CheckoutStep.PAYMENT_CAPTURED,
      cancelReason: "",
      version: 2n,
      paymentId: expect.stringMatching(/^payment_/),
      shipmentId: expect.stringMatching(/^shipment_/),
    });
    const { processor, carrier } = await shop.ledgers(order.orderId);
    expect(kinds(processor).filter((kind) => kind !== "created")).toEqual(["authorized", "captured"]);
    expect(processor.at(-1)?.amount).toBe(Number(order.total?.amountMinor));
    expect(kinds(carrier)).toEqual(["booked"]);
    await eventually(async () => expect(await stockOf(own)).toEqual({ onHand: 7, reserved: 0 }));
  });

  test("tells its watcher each step once, forward only, and then ends", async () => {
    const customer = aCustomer(service);
    const { orderId } = await place(customer, aWish(goods.productId, { paymentMethod: "pm_card_slow" }));
    const seen = await watch(customer, orderId);
    const pending = seen.slice(0, -1);
    expect(pending.length).toBeGreaterThan(2);
    expect(pending.every(({ status }) => status === OrderStatus.PENDING)).toBe(true);
    const steps = pending.map(({ step }) => step);
    expect(steps).toEqual([...new Set(steps)].sort());
    expect(seen.at(-1)).toMatchObject({ orderId, status: OrderStatus.CONFIRMED, cancelReason: "" });
    expect(await watch(customer, orderId)).toEqual(seen.slice(-1));
  });

  test("is read while it is under way as far as it has come", async () => {
    const customer = aCustomer(service);
    const { orderId } = await place(customer, aWish(goods.productId, { paymentMethod: "pm_card_slow" }));
    await eventually(async () =>
      expect(await read(customer, orderId)).toMatchObject({
        status: OrderStatus.PENDING,
        step: CheckoutStep.STOCK_RESERVED,
        version: 1n,
      }),
    );
    const { orders } = await customer.listOrders({});
    expect(orders).toMatchObject([
      { orderId, status: OrderStatus.PENDING, step: CheckoutStep.STOCK_RESERVED },
    ]);
    await watch(customer, orderId);
  });
});

describe("an order that cannot be carried out", () => {
  const nothingSettled = { paymentId: "", shipmentId: "", version: 2n };
  const cancelledFor = (cancelReason: string) => ({
    status: OrderStatus.CANCELLED,
    step: CheckoutStep.UNDOING,
    cancelReason,
    ...nothingSettled,
  });

  test("for lack of stock is cancelled, and neither bank nor carrier hears of it", async () => {
    const scarce = await shop.sell({ pieces: 1 });
    const wish = aWish(scarce.productId, { lines: [{ productId: scarce.productId, quantity: 2 }] });
    const order = await buy(aCustomer(service), wish);
    expect(order).toMatchObject(cancelledFor("OUT_OF_STOCK"));
    expect(await outsideDid(order)).toEqual({ processor: [], carrier: [] });
    expect(await stockOf(scarce)).toEqual({ onHand: 1, reserved: 0 });
  });

  test("for a declined card is cancelled: no money moved, and the pieces are back", async () => {
    const own = await shop.sell({ pieces: 5 });
    const order = await buy(
      aCustomer(service),
      aWish(own.productId, { paymentMethod: "pm_card_chargeDeclined" }),
    );
    expect(order).toMatchObject(cancelledFor("CARD_DECLINED"));
    const { processor, carrier } = await outsideDid(order);
    expect(processor).not.toContain("captured");
    expect(carrier).toEqual([]);
    expect(await stockOf(own)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("for a refused address is cancelled: the amount on hold is given up, and the pieces are back", async () => {
    const own = await shop.sell({ pieces: 5 });
    const shippingAddress = { ...address, postalCode: "99999" };
    const order = await buy(aCustomer(service), aWish(own.productId, { shippingAddress }));
    expect(order).toMatchObject(cancelledFor("ADDRESS_REFUSED"));
    const { processor } = await outsideDid(order);
    expect(processor.slice(-2)).toEqual(["authorized", "canceled"]);
    expect(await stockOf(own)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("since capturing was declined is cancelled: the shipment too", async () => {
    const order = await buy(
      aCustomer(service),
      aWish(goods.productId, {
        paymentMethod: "pm_card_captureDeclined",
        serviceLevel: ServiceLevel.EXPRESS,
      }),
    );
    expect(order.status).toBe(OrderStatus.CANCELLED);
    const { processor, carrier } = await outsideDid(order);
    expect(processor).not.toContain("captured");
    expect(processor.at(-1)).toBe("canceled");
    expect(carrier).toEqual(["booked", "canceled"]);
  });
});

describe("an order's end", () => {
  const schemas = {
    CONFIRMED: ["souk.orders.v1.OrderConfirmed", OrderConfirmedSchema],
    CANCELLED: ["souk.orders.v1.OrderCancelled", OrderCancelledSchema],
  } as const;

  test.each([
    ["CONFIRMED", "pm_card_visa"],
    ["CANCELLED", "pm_card_chargeDeclined"],
  ] as const)(
    "%s is announced as its second version, tied to the request that placed it",
    async (end, card) => {
      const customer = aCustomer(service);
      const correlationId = newId("request");
      const wish = aWish(goods.productId, { paymentMethod: card });
      const { order } = await customer.placeOrder(wish, { ...freshKey(), correlationId });
      const orderId = order?.orderId ?? "";
      await watch(customer, orderId);
      const events = await eventually(async () => {
        const found = await publishedOf(shop.prefix, orderId);
        expect(found).toHaveLength(2);
        return found;
      });
      const [type, schema] = schemas[end];
      expect(events.map(({ version }) => version)).toEqual(["1", "2"]);
      expect(events.map(({ previousVersion }) => previousVersion)).toEqual(["0", "1"]);
      expect(events.map((event) => event.correlationId)).toEqual([correlationId, correlationId]);
      expect(events.map((event) => event.type)).toEqual(["souk.orders.v1.OrderPlaced", type]);
      const message = fromBinary(schema, events[1]?.payload ?? new Uint8Array());
      const ended = await read(customer, orderId);
      expect(message).toMatchObject({ orderId, customerId: ended.customerId });
      if (message.$typeName === "souk.orders.v1.OrderConfirmed") {
        const { paymentId, shipmentId, total } = ended;
        expect(message).toMatchObject({ paymentId, shipmentId, total });
        expect(message.reservationId).toMatch(/^reservation_/);
      } else expect(message.cancelReason).toBe("CARD_DECLINED");
    },
  );

  test("is final: neither confirming nor cancelling it once more changes anything", async () => {
    const customer = aCustomer(service);
    const { orderId } = await buy(customer, aWish(goods.productId));
    const before = await eventsOf(service.db, orderId);
    const settled = { reservationId: "reservation_2", paymentId: "payment_2", shipmentId: "shipment_2" };
    const tooLate = { reason: "ORDER_ALREADY_ENDED", metadata: { order_id: orderId, status: "confirmed" } };
    const cancel = service.db.transaction((tx) =>
      updateOrder(tx, orderId, (order) => cancelOrder(order, "OUT_OF_STOCK")),
    );
    await expect(cancel).rejects.toMatchObject(tooLate);
    const confirm = service.db.transaction((tx) =>
      updateOrder(tx, orderId, (order) => confirmOrder(order, settled)),
    );
    await expect(confirm).rejects.toMatchObject(tooLate);
    expect(await eventsOf(service.db, orderId)).toEqual(before);
  });

  test("is heard on a replica that does not drive the order", async () => {
    await using other = await startOrders(shop, service.database);
    const { orderId, customerId } = await place(
      aCustomer(service),
      aWish(goods.productId, { paymentMethod: "pm_card_slow" }),
    );
    const seen = await watch(customerNamed(other, customerId), orderId);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen[0]).toMatchObject({ status: OrderStatus.PENDING });
    expect(seen.at(-1)).toMatchObject({ status: OrderStatus.CONFIRMED });
  });
});

// The last test: it looks at every order of the tests above.
test("every row of the view is the fold of its order's events", async () => {
  const views = await viewsOf(service.db);
  const statuses = new Set(views.map(({ status }) => status));
  expect([...statuses].sort()).toEqual(["cancelled", "confirmed"]);
  for (const view of views) {
    const events = await eventsOf(service.db, view.orderId);
    const state = stateAfter(events);
    const { orderId, customerId, status, version } = state;
    expect(view).toMatchObject({ orderId, customerId, status, version });
    expect(Buffer.from(toDocument(state)).equals(view.document)).toBe(true);
    expect(events.map((event) => event.version)).toEqual(events.map((_, index) => BigInt(index + 1)));
    expect(view.placedAt).toEqual(events[0]?.occurredAt);
    expect(view.updatedAt).toEqual(events.at(-1)?.occurredAt);
    const shown = await read(customerNamed(service, customerId), orderId);
    expect(shown.placedAt && timestampDate(shown.placedAt)).toEqual(view.placedAt);
  }
});
