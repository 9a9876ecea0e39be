// Customers of the simulated shop: careful ones, who ask again until there is an answer, and have second thoughts.
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { OrdersService, type PlaceOrderResponse } from "#gen/souk/orders/v1/orders_pb.ts";
import { isRetryable, ServiceError } from "#kit/errors/errors.ts";
import { type Address, call } from "./calls.ts";
import { dispatch, refusedPostalCode } from "./outside-world.ts";
import type { OrderPlan, Told, Wish } from "./plan.ts";
import type { SimulatedShop } from "./shop.ts";
import { createProcess, type World } from "./world.ts";

interface Customer {
  readonly world: World;
  readonly shop: SimulatedShop;
  readonly plan: OrderPlan;
  /** Who it is: an index, which is also its name. */
  readonly index: number;
}

const { method } = OrdersService;
const patienceMs = 5_000;
const askAgainMs = 1_000;

/** Orders, and later wants something else. */
export async function orderAndRegret(customer: Customer): Promise<void> {
  const { world, shop, plan, index } = customer;
  const placed = await insist(customer, method.placeOrder, toOrder(plan), "order");
  if (typeof placed === "string") return world.violate(`customer ${index} got ${placed}`);
  const orderId = (placed as PlaceOrderResponse).order?.orderId ?? "";
  const told: Told[] = [];
  shop.state.told.set(orderId, told);
  for (const [number, wish] of (plan.wishes ?? []).entries()) {
    world.after(wish.afterMs, () => {
      // Not awaited: the customer goes on when the world does.
      void ask(customer, orderId, wish, `wish ${number}`).then((answer) =>
        told.push({ kind: wish.kind, answer: typeof answer === "string" ? answer : "accepted" }),
      );
    });
  }
  if (plan.dispatchedAfterMs !== undefined)
    world.after(plan.dispatchedAfterMs, () => handOver(shop, orderId));
}

/** The warehouse hands over what is paid. */
function handOver({ state }: SimulatedShop, orderId: string) {
  if (state.orders.views.get(orderId)?.status === "confirmed") dispatch(state.outside, orderId);
}

function ask(customer: Customer, orderId: string, wish: Wish, key: string) {
  switch (wish.kind) {
    case "cancel":
      return insist(customer, method.cancelOrder, { orderId }, key);
    case "return":
      return insist(
        customer,
        method.createReturn,
        { orderId, lines: [{ productId: "LAMP", quantity: 1 }] },
        key,
      );
    case "refund": {
      const amount = { currencyCode: "EUR", amountMinor: 500n };
      return insist(customer, method.createRefund, { orderId, amount }, key);
    }
  }
}

type Method = (typeof method)[keyof typeof method];

/** Asks again, of another replica, under the same key, until there is an answer or a refusal, whose reason is returned. */
async function insist(
  { world, shop: { addresses }, plan, index }: Customer,
  asked: Method,
  message: object,
  key: string,
): Promise<unknown> {
  const phone = createProcess("customer", () => {});
  const options = {
    idempotencyKey: `${key} of ${index}`,
    timeoutMs: patienceMs,
    correlationId: `customer ${index}`,
    subject: String(index),
  };
  for (let attempt = plan.replica; ; attempt += 1) {
    const address = addresses[attempt % addresses.length] as Address;
    const [answer] = await Promise.allSettled([
      call(world, phone, address, { method: asked, message, options }),
    ]);
    if (answer?.status === "fulfilled") return answer.value;
    const error: unknown = answer?.reason;
    if (!isRetryable(error)) return error instanceof ServiceError ? error.reason : String(error);
    await world.sleep(phone, askAgainMs);
  }
}

const toOrder = ({ lines, card, address }: OrderPlan) => ({
  lines: Object.entries(lines).map(([productId, quantity]) => ({ productId, quantity })),
  shippingAddress: {
    ...{ name: "Ada", line1: "Chausseestr. 1", city: "Berlin", countryCode: "DE" },
    postalCode: address === "refused" ? refusedPostalCode : "10115",
  },
  serviceLevel: ServiceLevel.STANDARD,
  paymentMethod: card,
});
