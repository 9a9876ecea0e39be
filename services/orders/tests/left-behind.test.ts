import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { createClient } from "#kit/rpc/client.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import { drive } from "#kit/saga/drive.ts";
import type { HeldSaga } from "#kit/saga/progress.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually, fetchTestToken } from "#kit/testing/testing.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { type CheckoutInput, type CheckoutParticipants, checkoutSaga } from "../checkout-saga.ts";
import { aCustomer, address, aWish, buy, place, startOrders } from "./harness.ts";
import { type Goods, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let callees: CheckoutParticipants;

beforeAll(async () => {
  shop = await startShopProcesses();
  const serviceToken = await fetchTestToken({ service: "orders" });
  const token = () => serviceToken;
  callees = {
    inventory: createClient(InventoryService, { url: shop.urls.INVENTORY_URL ?? "", token }),
    payments: createClient(PaymentsService, { url: shop.urls.PAYMENTS_URL ?? "", token }),
    shipping: createClient(ShippingService, { url: shop.urls.SHIPPING_URL ?? "", token }),
  };
});
afterAll(() => shop?.stop());

interface Sent {
  readonly command: string;
  again(): Promise<unknown>;
}

/** The callees, behind a network that carries every command and loses the answers of some. */
function lossy(lost: ReadonlySet<string>) {
  const sent: Sent[] = [];
  const behind = <Callee extends object>(callee: Callee) =>
    new Proxy(callee, {
      get: (_, command: string) => async (request: unknown, options: unknown) => {
        const call = Reflect.get(callee, command) as (...args: unknown[]) => Promise<unknown>;
        sent.push({ command, again: () => call(request, options) });
        const reply = await call(request, options);
        if (lost.has(command)) throw new Error(`the answer of ${command} is lost`);
        return reply;
      },
    });
  const { inventory, payments, shipping } = callees;
  const participants = {
    inventory: behind(inventory),
    payments: behind(payments),
    shipping: behind(shipping),
  };
  return { sent, participants };
}

/** A checkout of two pieces, driven in memory; budgets of a second instead of many. */
function aCheckout(goods: Goods) {
  const input: CheckoutInput = {
    customerId: newId("user"),
    lines: [{ sku: goods.sku, quantity: 2 }],
    total: { currencyCode: "EUR", amountMinor: "3998" },
    paymentMethod: "pm_card_visa",
    shippingAddress: { ...address, line2: "" },
    serviceLevel: "standard",
  };
  let saga: Omit<HeldSaga, "definition"> = {
    sagaId: newId("saga"),
    subjectId: newId("order"),
    correlationId: "request-1",
    status: "running",
    step: 0,
    input,
    results: {},
    failure: undefined,
    parking: undefined,
    attempt: 0,
    startedAtMs: performance.now(),
    stepStartedAtMs: performance.now(),
    fencingToken: 1n,
    version: 1n,
  };
  return {
    orderId: saga.subjectId,
    /** Goes on until it ends, or until `enough`. */
    async goOn({ lost = [], ageMs = 0, enough = () => false }: GoOn = {}) {
      const { sent, participants } = lossy(new Set(lost));
      const definition = hurried(checkoutSaga(participants, { onTransition: () => {}, onEnded: () => {} }));
      const stopping = new AbortController();
      const recorder = {
        async record({ after }: { readonly after: HeldSaga }) {
          saga = after;
          if (enough(after)) stopping.abort();
          return true;
        },
      };
      const held = { ...saga, definition, startedAtMs: performance.now() - ageMs };
      await drive(
        { recorder, log: createLogger({ service: "test", level: "silent" }) },
        held,
        stopping.signal,
      );
      return { sent, status: saga.status, failure: saga.failure };
    },
  };
}

interface GoOn {
  readonly lost?: readonly string[];
  readonly ageMs?: number;
  readonly enough?: (saga: HeldSaga) => boolean;
}

const hurried = ({ steps, ...rest }: SagaDefinition<CheckoutInput>) =>
  ({ ...rest, steps: steps.map((step) => ({ ...step, budgetMs: 1_000 })) }) as SagaDefinition;

const kinds = (entries: readonly { kind: string }[]) =>
  entries.map(({ kind }) => kind).filter((kind) => kind !== "created");

/** What an order has cost so far: pieces, money, parcels. */
async function traces(goods: Goods, orderId: string) {
  const { stock } = await shop.inventory.getStock({ sku: goods.sku });
  const { processor, carrier } = await shop.ledgers(orderId);
  return { reserved: stock?.reserved, processor: kinds(processor), carrier: kinds(carrier) };
}

/** As happens after 24 hours: from then on the natural keys have to hold. */
const forgetAnswers = () =>
  Promise.all(
    (["inventory", "payments", "shipping"] as const).map((name) =>
      runSql(shop.ownerUrl(name), "delete from kit.idempotency"),
    ),
  );

const refusedForGood = { reason: expect.stringMatching(/^(ORDER_ALREADY_RESERVED|COMMAND_CANCELLED)$/) };

const nothing = { reserved: 0, processor: [], carrier: [] };
const heldAndGivenUp = ["authorized", "canceled"];

describe("a command that is carried out, and whose answer is lost until its budget ends, is undone:", () => {
  test.each([
    ["reserveStock", nothing],
    ["authorizePayment", { ...nothing, processor: heldAndGivenUp }],
    ["bookShipment", { ...nothing, processor: heldAndGivenUp, carrier: ["booked", "canceled"] }],
  ])(
    "%s, and once more after the saga's end it does nothing, a day later it is refused",
    async (command, left) => {
      const goods = await shop.sell({ pieces: 10 });
      const checkout = aCheckout(goods);
      const { sent, status } = await checkout.goOn({ lost: [command] });
      expect(status).toBe("compensated");
      expect(sent.filter((one) => one.command === command).length).toBeGreaterThan(1);
      expect(await traces(goods, checkout.orderId)).toEqual(left);
      const actions = sent.filter((one) => /^(reserve|authorize|book)/.test(one.command));
      for (const { again } of actions) await again();
      expect(await traces(goods, checkout.orderId)).toEqual(left);
      await forgetAnswers();
      for (const { again } of actions) await expect(again()).rejects.toMatchObject(refusedForGood);
      expect(await traces(goods, checkout.orderId)).toEqual(left);
    },
  );
});

test("commands of a completed checkout that are sent once more get their first answers, and do nothing", async () => {
  const goods = await shop.sell({ pieces: 10 });
  const checkout = aCheckout(goods);
  const { sent, status } = await checkout.goOn();
  expect(status).toBe("completed");
  const before = await traces(goods, checkout.orderId);
  expect(before).toEqual({ reserved: 2, processor: ["authorized", "captured"], carrier: ["booked"] });
  for (const { again } of sent) await again();
  expect(await traces(goods, checkout.orderId)).toEqual(before);
});

test("money that was taken, unheard, before the reservation expired is kept, and the order goes forward", async () => {
  const goods = await shop.sell({ pieces: 10 });
  const checkout = aCheckout(goods);
  await checkout.goOn({ lost: ["capturePayment"], enough: ({ step, attempt }) => step === 3 && attempt > 0 });
  expect((await traces(goods, checkout.orderId)).processor).toEqual(["authorized", "captured"]);
  await runSql(shop.ownerUrl("inventory"), "update kit.clock set offset_ms = offset_ms + 16 * 60000");
  await eventually(async () => expect((await traces(goods, checkout.orderId)).reserved).toBe(0), 15_000);
  const { status } = await checkout.goOn({ ageMs: 16 * 60_000 });
  expect(status).toBe("completed");
  expect(await traces(goods, checkout.orderId)).toEqual({
    reserved: 0,
    processor: ["authorized", "captured"],
    carrier: ["booked"],
  });
});

test("an order whose transaction is rolled back at COMMIT leaves no order, no reservation and no charge", async () => {
  await using service = await startOrders(shop);
  const goods = await shop.sell({ pieces: 10 });
  const name = `user_${randomUUID()}`;
  await runSql(
    service.database.ownerUrl,
    `create function refuse_order() returns trigger language plpgsql as $$
       begin raise exception 'no room for %', new.order_id; end $$;
     create constraint trigger refuse_order after insert on order_views deferrable initially deferred
       for each row when (new.customer_id = '${name}') execute function refuse_order();`,
  );
  const unlucky = service.client(OrdersService, { sub: name, scope: "orders:create orders:read" });
  await expect(place(unlucky, aWish(goods.productId))).rejects.toMatchObject({ reason: "INTERNAL" });
  // Whatever the lost one had begun would have come this far when a later one has ended.
  const { orderId } = await buy(aCustomer(service), aWish(goods.productId));
  expect((await unlucky.listOrders({})).orders).toEqual([]);
  const sagas = await runSql(service.database.ownerUrl, "select subject_id from kit.sagas");
  expect(sagas).toEqual([{ subject_id: orderId }]);
  const reservations = "select order_id from reservations where $1 = any(skus)".replace(
    "$1",
    `'${goods.sku}'`,
  );
  expect(await runSql(shop.ownerUrl("inventory"), reservations)).toEqual([{ order_id: orderId }]);
  const payments = await runSql(
    shop.ownerUrl("payments"),
    `select from payments where customer_id = '${name}'`,
  );
  expect(payments).toEqual([]);
});
