import { beforeAll, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { disarm, type KillPoint, killAt, killPointEnv } from "./kill-points.ts";
import { followToEnd, openShop, type Person, type Purchase, placeOrder } from "./shop.ts";

const calls = [
  { step: "reserve", method: "ReserveStock", participant: "inventory" },
  { step: "authorize", method: "AuthorizePayment", participant: "payments" },
  { step: "book", method: "BookShipment", participant: "shipping" },
  { step: "capture", method: "CapturePayment", participant: "payments" },
] as const;

const inOrders = (place: string): KillPoint => ({ process: "orders", place, action: "kill" });
const committed = (process: string, method: string): KillPoint => ({
  process,
  place: `rpc:${method}:committed`,
  action: "stall",
});

/** The moments at which orders dies, in words. */
const onTheWay: readonly (readonly [string, KillPoint])[] = [
  ...calls.flatMap(({ step, method, participant }) => [
    [`before it calls ${method}`, inOrders(`saga:checkout:${step}:before-call`)] as const,
    [`when ${participant} has committed ${method}`, committed(participant, method)] as const,
    [`before it records the answer of ${method}`, inOrders(`saga:checkout:${step}:before-record`)] as const,
  ]),
  ["right after it has confirmed the order", inOrders("saga:checkout:capture:recorded")],
];

const declined = { card: "pm_card_chargeDeclined" };
const refusedAddress = { postalCode: "REFUSE" };
const captureDeclined = { card: "pm_card_captureDeclined" };

const onTheWayBack: readonly (readonly [string, Partial<Purchase>, KillPoint])[] = [
  [
    "before it records that the card was declined",
    declined,
    inOrders("saga:checkout:authorize:before-record"),
  ],
  [
    "after it has recorded that the card was declined",
    declined,
    inOrders("saga:checkout:authorize:recorded"),
  ],
  ["when the stock is released", declined, committed("inventory", "ReleaseStock")],
  ["when the payment is voided", refusedAddress, committed("payments", "VoidPayment")],
  ["when the shipment is cancelled", captureDeclined, committed("shipping", "CancelShipment")],
];

const points = [...onTheWay.map(([, point]) => point), ...onTheWayBack.map(([, , point]) => point)];
const shop = openShop(killPointEnv(points));

beforeAll(() => disarm(shop().processes, points));

/** Buys while orders dies at a point, and follows the order to its end. */
async function buyAcross(point: KillPoint, buyer: Person, purchase: Purchase) {
  const killed = killAt(shop().processes, point);
  const [{ orderId }] = await Promise.all([placeOrder(shop(), buyer, purchase), killed]);
  const end = await followToEnd(shop(), buyer, orderId);
  const kindsOf = (lines: readonly { kind: string }[]) => lines.map(({ kind }) => kind);
  return {
    end,
    processor: kindsOf(await shop().processorLedger(orderId)),
    carrier: kindsOf(await shop().carrierLedger(orderId)),
  };
}

async function ordersOf({ token }: Person) {
  return (await shop().rest<{ orders: object[] }>("GET", "/v1/orders", { token })).body.orders;
}

test.each(onTheWay)("orders dies %s: the order is confirmed all the same, once", async (_, point) => {
  const [goods, buyer] = [await shop().sell(2), await shop().person()];
  const { end, processor, carrier } = await buyAcross(point, buyer, { goods });
  expect(end.status).toBe("CONFIRMED");
  expect(processor).toEqual(["authorized", "captured"]);
  expect(carrier).toEqual(["booked"]);
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 1, reserved: 0 }));
  expect(await ordersOf(buyer)).toHaveLength(1);
});

test.each(onTheWayBack)("orders dies %s: everything is undone all the same", async (_, how, point) => {
  const [goods, buyer] = [await shop().sell(2), await shop().person()];
  const { end, processor, carrier } = await buyAcross(point, buyer, { goods, ...how });
  const reason = how === refusedAddress ? "ADDRESS_REFUSED" : "CARD_DECLINED";
  expect(end).toMatchObject({ status: "CANCELLED", cancelReason: reason });
  expect(processor).not.toContain("captured");
  const [held, given] = ["authorized", "canceled"].map(
    (kind) => processor.filter((one) => one === kind).length,
  );
  expect(given).toBe(held);
  const [booked, cancelled] = ["booked", "canceled"].map(
    (kind) => carrier.filter((one) => one === kind).length,
  );
  expect(cancelled).toBe(booked);
  expect(await shop().stock(goods)).toEqual({ onHand: 2, reserved: 0 });
  expect(await ordersOf(buyer)).toHaveLength(1);
});
