// Orders with numbers, amounts and currencies that no honest client sends.

import { expect } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import type { Answer } from "../rest.ts";
import { followToEnd, type Goods, purchaseBody, type ShownOrder } from "../shop.ts";
import { byStaff, type HostileInput, order, refused } from "./input.ts";
import { readConfirmed, type Scene } from "./scene.ts";

const withLines = (goods: Goods, ...lines: object[]) => ({
  ...purchaseBody({ goods }),
  lines: lines.map((line) => ({ productId: goods.productId, ...line })),
});

const ordering =
  (...lines: object[]) =>
  ({ buyer, goods }: Scene) =>
    order(buyer, withLines(goods, ...lines));

/** An order with a member that only the shop may fill in. */
const orderingWith =
  (more: object) =>
  ({ buyer, goods }: Scene) =>
    order(buyer, { ...purchaseBody({ goods }), ...more });

const pricing = (price: object) => (scene: Scene) =>
  byStaff(scene, "/v1/products", {
    sku: "RUG-OF-NO-ONE",
    name: "Rug",
    categoryId: "category_01hzy3v8q0e9wb0c1a2d3f4g5h",
    price,
  });

const quantities: HostileInput[] = [
  refused(44, "no pieces", "400 VALIDATION_FAILED lines[0].quantity", ordering({ quantity: 0 })),
  refused(44, "minus one piece", "400 VALIDATION_FAILED lines[0].quantity", ordering({ quantity: -1 })),
  refused(44, "1,001 pieces", "400 VALIDATION_FAILED lines[0].quantity", ordering({ quantity: 1_001 })),
  refused(44, "2^31 pieces", "400 INVALID_VALUE lines[0].quantity", ordering({ quantity: 2 ** 31 })),
  refused(44, "one and a half pieces", "400 INVALID_VALUE lines[0].quantity", ordering({ quantity: 1.5 })),
  refused(
    44,
    "a second line that is minus the first",
    "400 VALIDATION_FAILED lines[1].quantity",
    ordering({ quantity: 1 }, { quantity: -1 }),
  ),
];

const sums: HostileInput[] = [
  refused(45, "50 full lines at the highest price", "400 VALIDATION_FAILED lines", ({ buyer, dear }) =>
    order(buyer, withLines(dear, ...Array(50).fill({ quantity: 1_000 }))),
  ),
  refused(45, "a sum one shipping fee above the limit", "400 VALIDATION_FAILED lines", ({ buyer, dear }) =>
    order(buyer, purchaseBody({ goods: dear })),
  ),
  refused(
    45,
    "a price of half a cent",
    "400 INVALID_VALUE price.amountMinor",
    pricing({ currencyCode: "EUR", amountMinor: 12.5 }),
  ),
  refused(
    45,
    "a price beyond 64 bits",
    "400 INVALID_VALUE price.amountMinor",
    pricing({ currencyCode: "EUR", amountMinor: "9223372036854775808" }),
  ),
  refused(
    45,
    "a price beyond the limit",
    "400 VALIDATION_FAILED price.amountMinor",
    pricing({ currencyCode: "EUR", amountMinor: "1000000000001" }),
  ),
  refused(
    45,
    "a price below nothing",
    "400 VALIDATION_FAILED price.amountMinor",
    pricing({ currencyCode: "EUR", amountMinor: "-1" }),
  ),
];

/** An order like the buyer's own, whose customer was shown a total. */
const orderingFor =
  (currencyCode: string, differenceMinor = 0) =>
  (scene: Scene) => {
    const amountMinor = String(scene.totalMinor + differenceMinor);
    return orderingWith({ expectedTotal: { currencyCode, amountMinor } })(scene);
  };

const currencies: HostileInput[] = [
  refused(46, "a total shown in dollars", "422 CURRENCY_MISMATCH", orderingFor("USD")),
  refused(46, "a total shown in a currency that is none", "422 CURRENCY_MISMATCH", orderingFor("XXX")),
  refused(
    46,
    "a total shown in small letters",
    "400 VALIDATION_FAILED expectedTotal.currencyCode",
    orderingFor("eur"),
  ),
  refused(46, "a product priced in dollars", "422 CURRENCY_MISMATCH", ({ buyer, foreign }) =>
    order(buyer, purchaseBody({ goods: foreign })),
  ),
  refused(46, "euros and dollars in one order", "422 CURRENCY_MISMATCH", ({ buyer, goods, foreign }) =>
    order(buyer, {
      ...purchaseBody({ goods }),
      lines: [goods, foreign].map(({ productId }) => ({ productId, quantity: 1 })),
    }),
  ),
  refused(
    46,
    "an order that names its currency",
    "400 UNKNOWN_MEMBER currencyCode",
    orderingWith({ currencyCode: "USD" }),
  ),
  refused(
    46,
    "a price in small letters",
    "400 VALIDATION_FAILED price.currencyCode",
    pricing({ currencyCode: "eur", amountMinor: "100" }),
  ),
];

const money = { currencyCode: "EUR", amountMinor: "1" };

/** The shop says what things cost: a client may say what it was shown, and nothing else. */
const pricesOfClients: HostileInput[] = [
  refused(47, "a total one cent too low", "409 TOTAL_DIFFERS", orderingFor("EUR", -1)),
  refused(47, "a total one cent too high", "409 TOTAL_DIFFERS", orderingFor("EUR", 1)),
  refused(
    47,
    "a total below nothing",
    "400 VALIDATION_FAILED expectedTotal.amountMinor",
    orderingWith({ expectedTotal: { currencyCode: "EUR", amountMinor: "-1" } }),
  ),
  {
    number: 47,
    name: "the shop's own total is what is paid",
    answers: { "202": 1 },
    attack: (scene) => ({
      requests: [orderingFor("EUR")(scene)],
      effect: async (answers) => {
        const [placed] = ordersOf(answers);
        await readConfirmed(scene.shop, scene.buyer, placed?.orderId ?? "");
        const ledger = await scene.shop.processorLedger(placed?.orderId ?? "");
        const captured = ledger.filter(({ kind }) => kind === "captured");
        expect(captured.map(({ amount }) => amount)).toEqual([scene.totalMinor]);
      },
    }),
  },
  refused(47, "a total", "400 UNKNOWN_MEMBER total", orderingWith({ total: money })),
  refused(47, "a shipping fee", "400 UNKNOWN_MEMBER shippingFee", orderingWith({ shippingFee: money })),
  refused(
    47,
    "a price in a line",
    "400 UNKNOWN_MEMBER lines[0].unitPrice",
    ordering({ quantity: 1, unitPrice: money }),
  ),
  refused(
    47,
    "another customer",
    "400 UNKNOWN_MEMBER customerId",
    orderingWith({ customerId: "user_other" }),
  ),
  refused(
    47,
    "an order confirmed from the start",
    "400 UNKNOWN_MEMBER status",
    orderingWith({ status: "ORDER_STATUS_CONFIRMED" }),
  ),
];

type PlacedOrder = ShownOrder & { readonly lines: readonly { readonly quantity: number }[] };

/** The orders that answers show. */
const ordersOf = (answers: readonly Answer[]) =>
  answers.map(({ body }) => (body as { order: PlacedOrder }).order);

const mergedLines: HostileInput[] = [
  {
    number: 48,
    name: "the same product in two lines is one line, and leaves the stock once",
    answers: { "202": 1 },
    attack: async ({ shop, buyer }) => {
      const goods = await shop.sell(10);
      return {
        requests: [order(buyer, withLines(goods, { quantity: 3 }, { quantity: 4 }))],
        effect: async (answers) => {
          const [placed] = ordersOf(answers);
          expect(placed?.lines).toMatchObject([{ quantity: 7 }]);
          await readConfirmed(shop, buyer, placed?.orderId ?? "");
          await eventually(async () => expect(await shop.stock(goods)).toEqual({ onHand: 3, reserved: 0 }));
        },
      };
    },
  },
  {
    number: 48,
    name: "one product in 50 full lines is more than there is, not less than nothing",
    answers: { "202": 1 },
    attack: async ({ shop, buyer }) => {
      const goods = await shop.sell(10);
      return {
        requests: [order(buyer, withLines(goods, ...Array(50).fill({ quantity: 1_000 })))],
        effect: async (answers) => {
          const [placed] = ordersOf(answers);
          expect(placed?.lines).toMatchObject([{ quantity: 50_000 }]);
          const end = await followToEnd(shop, buyer, placed?.orderId ?? "");
          expect(end).toMatchObject({ status: "CANCELLED", cancelReason: "OUT_OF_STOCK" });
          expect(await shop.stock(goods)).toEqual({ onHand: 10, reserved: 0 });
          expect(await shop.processorLedger(end.orderId)).toEqual([]);
        },
      };
    },
  },
];

const crowd = 200;

const lastPiece: HostileInput = {
  number: 50,
  name: "200 orders at once for the last piece: one gets it",
  answers: { "202": crowd },
  attack: async ({ shop }) => {
    const goods = await shop.sell(1);
    const buyers = await Promise.all(Array.from({ length: crowd }, () => shop.person()));
    return {
      requests: buyers.map((buyer) => order(buyer, purchaseBody({ goods }))),
      effect: async (answers) => {
        const ends = await Promise.all(
          ordersOf(answers).map(({ orderId }, index) =>
            followToEnd(shop, buyers[index] ?? shop.staff, orderId),
          ),
        );
        const outcomes = ends.map(({ status, cancelReason }) => `${status} ${cancelReason}`.trim());
        expect(Map.groupBy(outcomes, String).get("CONFIRMED")).toHaveLength(1);
        expect(Map.groupBy(outcomes, String).get("CANCELLED OUT_OF_STOCK")).toHaveLength(crowd - 1);
        const [winner] = ends.filter(({ status }) => status === "CONFIRMED");
        const ledgers = await Promise.all(ends.map(({ orderId }) => shop.processorLedger(orderId)));
        const captured = ledgers.flat().filter(({ kind }) => kind === "captured");
        expect(captured.map(({ metadata }) => metadata?.order_id)).toEqual([winner?.orderId]);
        await eventually(async () => expect(await shop.stock(goods)).toEqual({ onHand: 0, reserved: 0 }));
      },
    };
  },
};

/** Rows 44 to 50; 49, coupons, does not apply: the shop has none. */
export const orderInputs: readonly HostileInput[] = [
  ...quantities,
  ...sums,
  ...currencies,
  ...pricesOfClients,
  ...mergedLines,
  lastPiece,
];
