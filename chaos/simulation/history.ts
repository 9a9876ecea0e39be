// One history: customers order, everything goes wrong that was chosen, all comes to rest, and what must hold is looked at.
import { orderAndRegret } from "./customers.ts";
import { findViolations } from "./invariants.ts";
import type { Mutation } from "./mutations.ts";
import type { Plan } from "./plan.ts";
import { openSimulatedShop } from "./shop.ts";
import { World } from "./world.ts";

/** What came of a history. */
export interface Outcome {
  /** Empty where all is well. */
  readonly violations: readonly string[];
  /** Ends of orders, and every edge a saga took. */
  readonly seen: readonly string[];
}

/** A history that has not come to rest by then never will. */
const maxEvents = 10_000;

/** Lets a plan happen. */
export async function runHistory(plan: Plan, mutation: Mutation): Promise<Outcome> {
  const world = new World(plan.choices);
  const shop = openSimulatedShop(world, plan, mutation);
  for (const [index, order] of plan.orders.entries())
    world.after(order.placedAtMs, () => void orderAndRegret({ world, shop, plan: order, index }));
  const rested = await world.run(maxEvents);
  const found = rested ? findViolations(shop.state, plan) : ["the history does not come to rest"];
  return {
    violations: [...world.violations, ...found],
    seen: [...shop.state.sagas.values()].flatMap(({ edges }) => edges),
  };
}
