import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { arm, disarm, type KillPoint, killPointEnv } from "./kill-points.ts";
import {
  buy,
  followToEnd,
  type Goods,
  openShop,
  type Person,
  placeOrder,
  readOrder,
  type ShownOrder,
} from "./shop.ts";

/** Payments dies while it pays back: before the processor is asked, before that is written down, before it is answered. */
const inPayments: readonly KillPoint[] = [
  { process: "payments", place: "rpc:RefundPayment:intended", action: "kill" },
  { process: "payments", place: "rpc:RefundPayment:prepared", action: "kill" },
  { process: "payments", place: "rpc:RefundPayment:committed", action: "kill" },
];
const inOrders: readonly KillPoint[] = [
  { process: "orders", place: "saga:return:refund:before-call", action: "kill" },
  { process: "orders", place: "saga:return:refund:before-record", action: "kill" },
  { process: "orders", place: "saga:return:restock:before-record", action: "kill" },
  { process: "orders", place: "saga:cancel:refund:before-record", action: "kill" },
  { process: "orders", place: "saga:cancel:restock:before-record", action: "kill" },
];
const points = [...inPayments, ...inOrders];

const shop = openShop({ "card-processor": { SLOW_MS: "700" }, ...killPointEnv(points) });

beforeAll(() => disarm(shop().processes, points));

const shippingMinor = 490;

interface Bought {
  readonly buyer: Person;
  readonly goods: Goods;
  readonly orderId: string;
}

/** A confirmed order of three pieces of five, sold. */
async function bought(): Promise<Bought> {
  const [buyer, goods] = [await shop().person(), await shop().sell(5)];
  const { orderId } = await buy(shop(), buyer, { goods, quantity: 3 });
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 2, reserved: 0 }));
  return { buyer, goods, orderId };
}

const post = <Body = unknown>(
  by: Person,
  path: string,
  body: object = {},
  key: string = crypto.randomUUID(),
) => shop().rest<Body>("POST", `/v1/orders/${path}`, { token: by.token, key, body });

const giveBack = ({ buyer, goods, orderId }: Bought, quantity: number, key?: string) =>
  post<{ return: { returnId: string } }>(
    buyer,
    `${orderId}/returns`,
    { lines: [{ productId: goods.productId, quantity }] },
    key,
  );

/** Repeated under its key while there is no answer, as a careful client does. */
const insist = (send: () => ReturnType<typeof post>) =>
  eventually(async () => {
    const answer = await send();
    expect([answer.status, answer.text]).toEqual([202, expect.anything()]);
  }, 20_000);

async function reaches({ buyer, orderId }: Pick<Bought, "buyer" | "orderId">, status: string) {
  return await eventually(async () => {
    const order = await readOrder(shop(), buyer, orderId);
    expect(order.status).toBe(`ORDER_STATUS_${status}`);
    return order;
  }, 30_000);
}

/** Amounts that left the card and that came back to it. */
async function moneyOf(orderId: string) {
  const lines = await shop().processorLedger(orderId);
  const amounts = (kind: string) => lines.filter((line) => line.kind === kind).map(({ amount }) => amount);
  return { captured: amounts("captured"), refunded: amounts("refunded") };
}

const kindsOf = (lines: readonly { kind: string }[]) => lines.map(({ kind }) => kind);

describe("a customer who cancels", () => {
  test("at any moment of checkout is never charged for it: cancelled and confirmed exclude each other", async () => {
    const goods = await shop().sell(40);
    const ends = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const buyer = await shop().person();
        const card = index % 4 === 0 ? "pm_card_slow" : "pm_card_visa";
        const { orderId } = await placeOrder(shop(), buyer, { goods, card });
        const seen: string[] = [];
        const following = followToEnd(shop(), buyer, orderId, ({ status }) => void seen.push(status));
        for (let reads = 0; reads < index % 6; reads += 1) await readOrder(shop(), buyer, orderId);
        await insist(() => post(buyer, `${orderId}:cancel`));
        await following;
        const order = await reaches({ buyer, orderId }, "CANCELLED");
        return { order, seen, money: await moneyOf(orderId) };
      }),
    );
    for (const { order, seen, money } of ends) {
      expect(order.cancelReason).toBe("CUSTOMER_CANCELLED");
      expect(seen.slice(seen.indexOf("CANCELLED"))).not.toContain("CONFIRMED");
      expect(money.refunded).toEqual(money.captured);
      expect(money.captured.length).toBeLessThanOrEqual(1);
    }
    await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 40, reserved: 0 }));
  });

  test("after the confirmation has the money back once, whatever is asked twice; parcel and stock are back", async () => {
    const order = await bought();
    const { orderId, buyer, goods } = order;
    const key = crypto.randomUUID();
    const answers = [
      await post(buyer, `${orderId}:cancel`, {}, key),
      await post(buyer, `${orderId}:cancel`, {}, key),
      await post(buyer, `${orderId}:cancel`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(answers[1]?.text).toBe(answers[0]?.text);
    const { total, refunded, cancelReason } = await reaches(order, "CANCELLED");
    expect([refunded.amountMinor, cancelReason]).toEqual([total.amountMinor, "CUSTOMER_CANCELLED"]);
    const totalMinor = 3 * goods.priceMinor + shippingMinor;
    expect(await moneyOf(orderId)).toEqual({ captured: [totalMinor], refunded: [totalMinor] });
    expect(kindsOf(await shop().carrierLedger(orderId))).toEqual(["booked", "canceled"]);
    expect(await shop().stock(goods)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("after the parcel has left is refused, and nothing is touched", async () => {
    const { orderId, buyer } = await bought();
    await shop().dispatch(orderId);
    const { status, body } = await post(buyer, `${orderId}:cancel`);
    expect([status, body]).toMatchObject([409, { reason: "ORDER_ALREADY_DISPATCHED" }]);
    expect((await readOrder(shop(), buyer, orderId)).status).toBe("ORDER_STATUS_CONFIRMED");
    expect((await moneyOf(orderId)).refunded).toEqual([]);
  });
});

test("pieces come back one after the other, then one too many: refused, and the ledger stays as it is", async () => {
  const order = await bought();
  const { goods, orderId, buyer } = order;
  expect((await giveBack(order, 1)).status).toBe(202);
  expect((await giveBack(order, 1)).status).toBe(202);
  const tooMany = await giveBack(order, 2);
  expect([tooMany.status, tooMany.body]).toMatchObject([409, { reason: "QUANTITY_EXCEEDS_ORDER" }]);
  await reaches(order, "CONFIRMED");
  const amount = (amountMinor: number) => ({ amount: { currencyCode: "EUR", amountMinor } });
  const tooMuch = await post(
    shop().staff,
    `${orderId}/refunds`,
    amount(goods.priceMinor + shippingMinor + 1),
  );
  expect([tooMuch.status, tooMuch.body]).toMatchObject([409, { reason: "REFUND_EXCEEDS_PAYMENT" }]);
  expect((await moneyOf(orderId)).refunded).toEqual([goods.priceMinor, goods.priceMinor]);
  expect(await shop().stock(goods)).toEqual({ onHand: 4, reserved: 0 });
  const shown = (await readOrder(shop(), buyer, orderId)) as ShownOrder & {
    lines: { quantity: number; returnedQuantity: number }[];
  };
  expect(shown.lines).toMatchObject([{ quantity: 3, returnedQuantity: 2 }]);
  expect((await giveBack(order, 1)).status).toBe(202);
  const end = await reaches(order, "REFUNDED");
  expect(end.refunded).toEqual(end.total);
});

test("the same return twice is one return", async () => {
  const order = await bought();
  const key = crypto.randomUUID();
  const answers = await Promise.all([giveBack(order, 1, key), giveBack(order, 1, key)]);
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  expect(answers[0]?.text).toBe(answers[1]?.text);
  await reaches(order, "CONFIRMED");
  expect((await moneyOf(order.orderId)).refunded).toEqual([order.goods.priceMinor]);
  expect(await shop().stock(order.goods)).toEqual({ onHand: 3, reserved: 0 });
});

test("somebody else's order can be neither cancelled nor returned", async () => {
  const order = await bought();
  const stranger = await shop().person();
  for (const answer of [
    await post(stranger, `${order.orderId}:cancel`),
    await giveBack({ ...order, buyer: stranger }, 1),
  ])
    expect([answer.status, answer.body]).toMatchObject([404, { reason: "ORDER_NOT_FOUND" }]);
});

/** Waits until a process died of its point and is back. */
async function survives(point: KillPoint, work: () => Promise<void>) {
  const victim = shop().processes.byName.get(point.process);
  if (!victim) throw new Error(`there is no process ${point.process}`);
  const died = victim.exited;
  arm(shop().processes, point);
  await work();
  expect((await died).signal).toBe("SIGKILL");
}

describe("a refund in flight is one refund", () => {
  test.each(inPayments)("while payments dies at $place", async (point) => {
    const order = await bought();
    await survives(point, () => insist(() => giveBack(order, 2, point.place)));
    await reaches(order, "CONFIRMED");
    expect((await moneyOf(order.orderId)).refunded).toEqual([2 * order.goods.priceMinor]);
    await eventually(async () => expect(await shop().stock(order.goods)).toEqual({ onHand: 4, reserved: 0 }));
  });

  test.each(inOrders)("while orders dies at $place", async (point) => {
    const order = await bought();
    const { orderId, buyer, goods } = order;
    const isCancel = point.place.includes(":cancel:");
    await survives(point, () =>
      insist(() =>
        isCancel ? post(buyer, `${orderId}:cancel`, {}, point.place) : giveBack(order, 1, point.place),
      ),
    );
    await reaches(order, isCancel ? "CANCELLED" : "CONFIRMED");
    const backMinor = isCancel ? 3 * goods.priceMinor + shippingMinor : goods.priceMinor;
    expect((await moneyOf(orderId)).refunded).toEqual([backMinor]);
    const onHand = isCancel ? 5 : 3;
    await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand, reserved: 0 }));
  });
});
