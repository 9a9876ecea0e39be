import { expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { buy, openShop } from "./shop.ts";

const shop = openShop();
const services = ["catalog", "inventory", "orders", "payments", "shipping"] as const;

interface Outcome {
  readonly complete?: boolean;
  readonly compared?: string;
  readonly findings?: readonly { readonly reconciliation: string; readonly subjectId: string }[];
}

/** Runs all comparisons of all services at the public door; nothing counts as busy. */
async function reconcileAll() {
  const { token } = shop().staff;
  const outcomes = await Promise.all(
    services.map(async (service) => {
      const path = `/v1/ops/${service}/reconciliations/all:run`;
      const request = { token, key: crypto.randomUUID(), body: { graceMs: 0 } };
      const { status, body, text } = await shop().rest<Outcome>("POST", path, request);
      expect([status, body.complete], text).toEqual([200, true]);
      return body;
    }),
  );
  return {
    compared: outcomes.reduce((sum, { compared }) => sum + Number(compared ?? 0), 0),
    findings: outcomes.flatMap(({ findings = [] }) =>
      findings.map(({ reconciliation, subjectId }) => [reconciliation, subjectId]),
    ),
  };
}

test("after orders that went well and orders that did not, no service finds anything; then a row is changed, and one thing is found", async () => {
  const [buyer, goods, scarce] = [await shop().person(), await shop().sell(20), await shop().sell(1)];
  const ends = await Promise.all([
    ...[1, 2, 3].map((quantity) => buy(shop(), buyer, { goods, quantity })),
    buy(shop(), buyer, { goods, card: "pm_card_chargeDeclined" }),
    buy(shop(), buyer, { goods, card: "pm_card_captureDeclined" }),
    buy(shop(), buyer, { goods, postalCode: "REFUSE" }),
    buy(shop(), buyer, { goods: scarce, quantity: 2 }),
  ]);
  expect(ends.map(({ status }) => status)).toEqual([
    ...Array(3).fill("CONFIRMED"),
    ...Array(4).fill("CANCELLED"),
  ]);
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 14, reserved: 0 }));
  const sound = await reconcileAll();
  expect(sound.findings).toEqual([]);
  // Seven orders by five comparisons, and two SKUs.
  expect(sound.compared).toBeGreaterThanOrEqual(37);
  const { ownerUrl } = shop().processes.databases.inventory ?? { ownerUrl: "" };
  await runSql(ownerUrl, `update stock set on_hand = on_hand + 1 where sku = '${goods.sku}'`);
  expect((await reconcileAll()).findings).toEqual([["stock-with-movements", goods.sku]]);
  await runSql(ownerUrl, `update stock set on_hand = on_hand - 1 where sku = '${goods.sku}'`);
  expect((await reconcileAll()).findings).toEqual([]);
});
