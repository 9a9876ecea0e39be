// Paying back what was not taken, or twice.

import { expect } from "vitest";
import { buy, readOrder } from "../shop.ts";
import { byStaff, type HostileInput, refused } from "./input.ts";
import type { Scene } from "./scene.ts";

const refunding = (amount: object) => (scene: Scene) =>
  byStaff(scene, `/v1/payments/${scene.paymentId}:refund`, { amount });

const currencies: HostileInput[] = [
  refused(
    46,
    "a refund in dollars",
    "422 CURRENCY_MISMATCH",
    refunding({ currencyCode: "USD", amountMinor: "100" }),
  ),
  refused(
    46,
    "a refund in a currency that is none",
    "422 CURRENCY_MISMATCH",
    refunding({ currencyCode: "XXX", amountMinor: "100" }),
  ),
  refused(
    46,
    "a refund in small letters",
    "400 VALIDATION_FAILED amount.currencyCode",
    refunding({ currencyCode: "eur", amountMinor: "100" }),
  ),
];

const refundsAtOnce = 20;

const amounts: HostileInput[] = [
  refused(
    51,
    "a refund of more than was taken",
    "409 REFUND_EXCEEDS_CAPTURE",
    refunding({ currencyCode: "EUR", amountMinor: "999999" }),
  ),
  refused(
    51,
    "a refund of nothing",
    "409 REFUND_EXCEEDS_CAPTURE",
    refunding({ currencyCode: "EUR", amountMinor: "0" }),
  ),
  refused(
    51,
    "a refund below nothing",
    "400 VALIDATION_FAILED amount.amountMinor",
    refunding({ currencyCode: "EUR", amountMinor: "-100" }),
  ),
  refused(51, "a refund by the customer", "403 SCOPE_MISSING", ({ buyer, paymentId }) => ({
    method: "POST",
    path: `/v1/payments/${paymentId}:refund`,
    token: buyer.token,
    key: crypto.randomUUID(),
    body: {},
  })),
  {
    number: 51,
    name: "20 whole refunds at once are one",
    answers: { "200": 1, "409 REFUND_EXCEEDS_CAPTURE": refundsAtOnce - 1 },
    attack: async (scene) => {
      const { shop, buyer } = scene;
      const { orderId } = await buy(shop, buyer, { goods: scene.goods });
      const { paymentId, total } = await readOrder(shop, buyer, orderId);
      return {
        requests: Array.from({ length: refundsAtOnce }, () =>
          byStaff(scene, `/v1/payments/${paymentId}:refund`, {}),
        ),
        effect: async () => {
          const refunded = (await shop.processorLedger(orderId)).filter(({ kind }) => kind === "refunded");
          expect(refunded.map(({ amount }) => amount)).toEqual([Number(total.amountMinor)]);
        },
      };
    },
  },
];

/** Rows 46 and 51, as far as payments go. */
export const refundInputs: readonly HostileInput[] = [...currencies, ...amounts];
