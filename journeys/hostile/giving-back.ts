// Cancelling twice or too late, and having more of an order back than there is.

import { expect } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { buy, type Person, readOrder } from "../shop.ts";
import { byStaff, type HostileInput, type HostileRequest, refused } from "./input.ts";
import type { Scene } from "./scene.ts";

const about = ({ token }: Person, orderId: string, what: string, body: object = {}): HostileRequest => ({
  method: "POST",
  path: `/v1/orders/${orderId}${what}`,
  token,
  key: crypto.randomUUID(),
  body,
});

const refunding = (amount: object) => (scene: Scene) =>
  byStaff(scene, `/v1/orders/${scene.orderId}/refunds`, { amount });

const returning =
  (quantity: number) =>
  ({ buyer, orderId, goods }: Scene) =>
    about(buyer, orderId, "/returns", { lines: [{ productId: goods.productId, quantity }] });

const cancelsAtOnce = 10;

/** Row 51, as far as orders go. */
export const givingBackInputs: readonly HostileInput[] = [
  {
    number: 51,
    name: `${cancelsAtOnce} cancellations at once, under as many keys, give back once`,
    answers: { "202": cancelsAtOnce },
    attack: async ({ shop, buyer, goods }) => {
      const { orderId } = await buy(shop, buyer, { goods });
      return {
        requests: Array.from({ length: cancelsAtOnce }, () => about(buyer, orderId, ":cancel")),
        effect: async () => {
          const { total } = await eventually(async () => {
            const order = await readOrder(shop, buyer, orderId);
            expect(order.status).toBe("ORDER_STATUS_CANCELLED");
            return order;
          }, 30_000);
          const refunded = (await shop.processorLedger(orderId)).filter(({ kind }) => kind === "refunded");
          expect(refunded.map(({ amount }) => amount)).toEqual([Number(total.amountMinor)]);
        },
      };
    },
  },
  {
    number: 51,
    name: "cancelling what is cancelled, under another key, answers the order as it stands and pays nothing back",
    answers: { "202": 1 },
    attack: async ({ shop, buyer, goods }) => {
      const { orderId } = await buy(shop, buyer, { goods, card: "pm_card_chargeDeclined" });
      const before = await readOrder(shop, buyer, orderId);
      return {
        requests: [about(buyer, orderId, ":cancel")],
        effect: async () => {
          expect(await readOrder(shop, buyer, orderId)).toEqual(before);
          expect(await shop.processorLedger(orderId)).not.toContainEqual(
            expect.objectContaining({ kind: "refunded" }),
          );
        },
      };
    },
  },
  refused(
    51,
    "cancelling after the parcel has left",
    "409 ORDER_ALREADY_DISPATCHED",
    ({ stranger, sentOrderId }) => about(stranger, sentOrderId, ":cancel"),
  ),
  refused(51, "cancelling somebody else's order", "404 ORDER_NOT_FOUND", ({ stranger, orderId }) =>
    about(stranger, orderId, ":cancel"),
  ),
  refused(
    51,
    "paying back more than an order cost",
    "409 REFUND_EXCEEDS_PAYMENT",
    refunding({ currencyCode: "EUR", amountMinor: "999999" }),
  ),
  refused(
    51,
    "paying an order back in dollars",
    "422 REFUND_CURRENCY_MISMATCH",
    refunding({ currencyCode: "USD", amountMinor: "100" }),
  ),
  refused(51, "bringing back more pieces than were bought", "409 QUANTITY_EXCEEDS_ORDER", returning(2)),
  refused(51, "bringing back fewer than no pieces", "400 VALIDATION_FAILED lines[0].quantity", returning(-1)),
  refused(51, "bringing back what was never bought", "422 PRODUCT_NOT_IN_ORDER", ({ buyer, orderId, dear }) =>
    about(buyer, orderId, "/returns", { lines: [{ productId: dear.productId, quantity: 1 }] }),
  ),
];
