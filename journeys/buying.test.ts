import { expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { readEvents } from "../tools/order/event-stream.ts";
import { buy, followToEnd, openShop, type Person, placeOrder, readOrder, type ShownOrder } from "./shop.ts";

// A card that answers late, and one that never does, must not hold the tests up for as long as they would a customer.
const shop = openShop({
  "card-processor": { SLOW_MS: "700", WITHHOLD_MS: "2000" },
  payments: { CARD_PROCESSOR_TIMEOUT_MS: "1200" },
});

const shippingMinor = 490;
const kindsOf = (lines: readonly { kind: string }[]) => lines.map(({ kind }) => kind);

/** What staff see of a payment's double-entry ledger. */
async function readBookings(paymentId: string) {
  const { token } = shop().staff;
  type Reply = { entries: { account: string; amountMinor: string; kind: string }[] };
  return (await shop().rest<Reply>("GET", `/v1/payments/${paymentId}/ledger`, { token })).body.entries;
}

async function readPayment(buyer: Person, paymentId: string) {
  type Reply = { payment: { status: string; amount: { amountMinor: string } } };
  const { body } = await shop().rest<Reply>("GET", `/v1/payments/${paymentId}`, { token: buyer.token });
  return body.payment;
}

test("a good card buys: money moves once, the parcel is booked, the stock falls", async () => {
  const goods = await shop().sell(5);
  const buyer = await shop().person();
  const { orderId } = await buy(shop(), buyer, { goods, quantity: 2 });
  const order = await readOrder(shop(), buyer, orderId);
  const totalMinor = 2 * goods.priceMinor + shippingMinor;
  expect(order).toMatchObject({ status: "ORDER_STATUS_CONFIRMED", step: "CHECKOUT_STEP_PAYMENT_CAPTURED" });
  expect(order.total.amountMinor).toBe(String(totalMinor));
  const ledger = await shop().processorLedger(orderId);
  expect(ledger).toMatchObject([
    { kind: "authorized", amount: totalMinor },
    { kind: "captured", amount: totalMinor },
  ]);
  expect(kindsOf(await shop().carrierLedger(orderId))).toEqual(["booked"]);
  expect(await readPayment(buyer, order.paymentId)).toMatchObject({
    status: "PAYMENT_STATUS_CAPTURED",
    amount: { amountMinor: String(totalMinor) },
  });
  const bookings = await readBookings(order.paymentId);
  expect(bookings.length).toBeGreaterThan(0);
  expect(bookings.reduce((sum, { amountMinor }) => sum + Number(amountMinor), 0)).toBe(0);
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 3, reserved: 0 }));
});

test("a confirmed order shows its shipment and how to track it", async () => {
  const buyer = await shop().person();
  const { orderId } = await buy(shop(), buyer, { goods: await shop().sell(1) });
  const { shipmentId } = await readOrder(shop(), buyer, orderId);
  type Reply = { events: { description: string }[] };
  const { token } = buyer;
  const { body } = await shop().rest<Reply>("GET", `/v1/shipments/${shipmentId}/tracking`, { token });
  expect(body.events).toMatchObject([{ description: "booked" }]);
});

test("what the card processor tells by webhook reaches payments through the public door", async () => {
  const taken = async () => {
    const url = `http://127.0.0.1:${shop().processes.ports["gateway-metrics"]}/metrics`;
    const metrics = await (await fetch(url, { signal: AbortSignal.timeout(5_000) })).text();
    const lines = metrics.split("\n").filter((line) => line.includes("POST /v1/webhooks/card-processor"));
    const counts = lines.filter((line) => line.startsWith("http_server_requests_total"));
    return counts.map((line) => [/status="(\d+)"/.exec(line)?.[1], Number(line.split(" ").at(-1))] as const);
  };
  const countOf = (statuses: Awaited<ReturnType<typeof taken>>) => new Map(statuses).get("200") ?? 0;
  const before = countOf(await taken());
  await buy(shop(), await shop().person(), { goods: await shop().sell(1) });
  await eventually(async () => expect(countOf(await taken())).toBeGreaterThan(before));
  expect((await taken()).map(([status]) => status)).toEqual(["200"]);
});

test.each([
  ["pm_card_chargeDeclined", "CARD_DECLINED"],
  ["pm_card_chargeDeclinedInsufficientFunds", "INSUFFICIENT_FUNDS"],
])(
  "%s cancels the order with %s: no money moves, the stock is back, nothing is booked",
  async (card, reason) => {
    const goods = await shop().sell(3);
    const buyer = await shop().person();
    const end = await buy(shop(), buyer, { goods, card });
    expect(end).toMatchObject({ status: "CANCELLED", cancelReason: reason });
    expect(await readOrder(shop(), buyer, end.orderId)).toMatchObject({
      status: "ORDER_STATUS_CANCELLED",
      cancelReason: reason,
      shipmentId: "",
    });
    expect(kindsOf(await shop().processorLedger(end.orderId))).toEqual(["declined"]);
    expect(await shop().carrierLedger(end.orderId)).toEqual([]);
    expect(await shop().stock(goods)).toEqual({ onHand: 3, reserved: 0 });
  },
);

test("an order for more than there is is cancelled before anybody is asked for money", async () => {
  const goods = await shop().sell(1);
  const end = await buy(shop(), await shop().person(), { goods, quantity: 2 });
  expect(end).toMatchObject({ status: "CANCELLED", cancelReason: "OUT_OF_STOCK" });
  expect(await shop().processorLedger(end.orderId)).toEqual([]);
  expect(await shop().stock(goods)).toEqual({ onHand: 1, reserved: 0 });
});

test("an address the carrier refuses gives the authorization and the stock back", async () => {
  const goods = await shop().sell(2);
  const end = await buy(shop(), await shop().person(), { goods, postalCode: "REFUSE" });
  expect(end).toMatchObject({ status: "CANCELLED", cancelReason: "ADDRESS_REFUSED" });
  const totalMinor = goods.priceMinor + shippingMinor;
  expect(await shop().processorLedger(end.orderId)).toMatchObject([
    { kind: "authorized", amount: totalMinor },
    { kind: "canceled", amount: totalMinor },
  ]);
  expect(kindsOf(await shop().carrierLedger(end.orderId))).not.toContain("booked");
  expect(await shop().stock(goods)).toEqual({ onHand: 2, reserved: 0 });
});

test("a capture that is declined undoes everything: shipment, authorization, stock", async () => {
  const goods = await shop().sell(2);
  const end = await buy(shop(), await shop().person(), { goods, card: "pm_card_captureDeclined" });
  expect(end).toMatchObject({ status: "CANCELLED", cancelReason: "CARD_DECLINED" });
  const kinds = kindsOf(await shop().processorLedger(end.orderId));
  expect(kinds).not.toContain("captured");
  expect([kinds.at(0), kinds.at(-1)]).toEqual(["authorized", "canceled"]);
  expect(kindsOf(await shop().carrierLedger(end.orderId))).toEqual(["booked", "canceled"]);
  expect(await shop().stock(goods)).toEqual({ onHand: 2, reserved: 0 });
});

test("a charge whose answer is lost is asked about, not repeated: one authorization, one capture", async () => {
  const goods = await shop().sell(1);
  const end = await buy(shop(), await shop().person(), { goods, card: "pm_card_chargeThenTimeout" });
  expect(end.status).toBe("CONFIRMED");
  expect(kindsOf(await shop().processorLedger(end.orderId))).toEqual(["authorized", "captured"]);
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 0, reserved: 0 }));
});

const steps = [
  "CHECKOUT_STEP_ACCEPTED",
  "CHECKOUT_STEP_STOCK_RESERVED",
  "CHECKOUT_STEP_PAYMENT_AUTHORIZED",
  "CHECKOUT_STEP_SHIPMENT_BOOKED",
  "CHECKOUT_STEP_PAYMENT_CAPTURED",
];

const inOrder = (seen: readonly string[]) => seen.toSorted((a, b) => steps.indexOf(a) - steps.indexOf(b));

test("watching a slow order shows its steps in order, and ends with it", async () => {
  const buyer = await shop().person();
  const { orderId } = await placeOrder(shop(), buyer, { goods: await shop().sell(1), card: "pm_card_slow" });
  const { status, headers, text } = await shop().rest("GET", `/v1/orders/${orderId}:watch`, {
    token: buyer.token,
    headers: { accept: "text/event-stream" },
  });
  expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  const events = await Array.fromAsync(readEvents(new Blob([text]).stream()));
  const states = events.map(({ data }) => JSON.parse(data) as ShownOrder);
  const seen = states.map(({ step }) => step);
  expect(seen).toEqual(inOrder(seen));
  // The card is slow, so the watcher is there before the bank is.
  expect(new Set(seen)).toEqual(new Set([...seen.slice(0, 1), ...steps.slice(steps.indexOf(seen[0] ?? ""))]));
  expect(seen[0]).toMatch(/ACCEPTED|STOCK_RESERVED/);
  const isLast = (_: unknown, index: number) => index === states.length - 1;
  expect(states.map((state) => state.status)).toEqual(
    states.map((_, index) => (isLast(_, index) ? "ORDER_STATUS_CONFIRMED" : "ORDER_STATUS_PENDING")),
  );
});

test("polling a slow order shows the same steps and the same end", async () => {
  const buyer = await shop().person();
  const { orderId } = await placeOrder(shop(), buyer, { goods: await shop().sell(1), card: "pm_card_slow" });
  const seen: string[] = [];
  await eventually(async () => {
    const { status, step } = await readOrder(shop(), buyer, orderId);
    if (seen.at(-1) !== step) seen.push(step);
    expect(status).toBe("ORDER_STATUS_CONFIRMED");
  });
  expect(seen).toEqual(inOrder(seen));
  expect(seen.at(-1)).toBe("CHECKOUT_STEP_PAYMENT_CAPTURED");
  expect(seen.length).toBeGreaterThan(1);
});

test("somebody else's order is not found, by reading or by watching, and is on nobody else's list", async () => {
  const [buyer, stranger] = [await shop().person(), await shop().person()];
  const { orderId } = await placeOrder(shop(), buyer, { goods: await shop().sell(1) });
  for (const path of [`/v1/orders/${orderId}`, `/v1/orders/${orderId}:watch`]) {
    const { status, body } = await shop().rest("GET", path, { token: stranger.token });
    expect([status, body]).toMatchObject([404, { reason: "ORDER_NOT_FOUND" }]);
  }
  const { body } = await shop().rest("GET", "/v1/orders", { token: stranger.token });
  expect(body).toMatchObject({ orders: [] });
  await followToEnd(shop(), buyer, orderId);
});

test("200 buyers for 50 pieces: 50 get one, 150 are told it is sold out, and the stock ends at exactly 0", async () => {
  const goods = await shop().sell(50);
  const buyers = await Promise.all(Array.from({ length: 200 }, () => shop().person()));
  const lowest = { onHand: 50, available: 50 };
  let over = false;
  const watching = (async () => {
    while (!over) {
      const { onHand, reserved } = await shop().stock(goods);
      lowest.onHand = Math.min(lowest.onHand, onHand);
      lowest.available = Math.min(lowest.available, onHand - reserved);
    }
  })();
  const ends = await Promise.all(buyers.map((buyer) => buy(shop(), buyer, { goods })));
  const outcomes = ends.map(({ status, cancelReason }) => `${status} ${cancelReason}`.trim());
  expect(Map.groupBy(outcomes, String).get("CONFIRMED")).toHaveLength(50);
  expect(Map.groupBy(outcomes, String).get("CANCELLED OUT_OF_STOCK")).toHaveLength(150);
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 0, reserved: 0 }));
  over = true;
  await watching;
  expect(lowest).toEqual({ onHand: 0, available: 0 });
  const captured = await Promise.all(
    ends.map(async ({ orderId }) => kindsOf(await shop().processorLedger(orderId))),
  );
  expect(captured.flat().filter((kind) => kind === "captured")).toHaveLength(50);
});
