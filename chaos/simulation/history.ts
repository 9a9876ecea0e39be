// One history: customers order, everything goes wrong that was chosen, all comes to rest, and what must hold is looked at.

import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { isRetryable } from "#kit/errors/errors.ts";
import { type Address, call } from "./calls.ts";
import { findViolations } from "./invariants.ts";
import type { Mutation } from "./mutations.ts";
import { refusedPostalCode } from "./outside-world.ts";
import type { OrderPlan, Plan } from "./plan.ts";
import { openSimulatedShop } from "./shop.ts";
import { createProcess, type Process, World } from "./world.ts";

/** What came of a history. */
export interface Outcome {
  /** Empty where all is well. */
  readonly violations: readonly string[];
  /** Ends of orders, and every edge a saga took. */
  readonly seen: readonly string[];
}

/** A history that has not come to rest by then never will. */
const maxEvents = 10_000;
const patienceMs = 5_000;
const askAgainMs = 1_000;

/** Lets a plan happen. */
export async function runHistory(plan: Plan, mutation: Mutation): Promise<Outcome> {
  const world = new World(plan.choices);
  const { state, addresses } = openSimulatedShop(world, plan, mutation);
  for (const [customer, order] of plan.orders.entries())
    world.after(order.placedAtMs, () => void placeOrder(world, addresses, order, String(customer)));
  const rested = await world.run(maxEvents);
  const found = rested ? findViolations(state, plan) : ["the history does not come to rest"];
  return {
    violations: [...world.violations, ...found],
    seen: [...state.sagas.values()].flatMap(({ edges }) => edges),
  };
}

/** A careful customer: asks again, of another replica, under the same key, until there is an answer. */
async function placeOrder(world: World, addresses: readonly Address[], order: OrderPlan, customer: string) {
  const phone: Process = createProcess("customer", () => {});
  for (let attempt = order.replica; ; attempt += 1) {
    const address = addresses[attempt % addresses.length];
    if (!address) throw new Error("there is no replica of orders");
    const [answer] = await Promise.allSettled([call(world, phone, address, toRequest(order, customer))]);
    if (answer?.status === "fulfilled") return;
    if (!isRetryable(answer?.reason)) return world.violate(`customer ${customer} got ${answer?.reason}`);
    await world.sleep(phone, askAgainMs);
  }
}

function toRequest({ lines, card, address }: OrderPlan, customer: string) {
  return {
    method: OrdersService.method.placeOrder,
    message: {
      lines: Object.entries(lines).map(([productId, quantity]) => ({ productId, quantity })),
      shippingAddress: {
        ...{ name: "Ada", line1: "Chausseestr. 1", city: "Berlin", countryCode: "DE" },
        postalCode: address === "refused" ? refusedPostalCode : "10115",
      },
      serviceLevel: ServiceLevel.STANDARD,
      paymentMethod: card,
    },
    options: {
      idempotencyKey: `order of ${customer}`,
      timeoutMs: patienceMs,
      correlationId: `customer ${customer}`,
      subject: customer,
    },
  };
}
