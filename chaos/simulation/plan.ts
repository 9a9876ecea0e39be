// What a history starts from: orders, pieces, and the choices by which everything goes wrong. All of it comes from one seed.
import fc from "fast-check";
import { feeMinor, priceMinor } from "./orders-replica.ts";
import { captureDeclinedCard, declinedCard } from "./outside-world.ts";

/** One customer's order. */
export interface OrderPlan {
  /** Pieces by SKU. */
  readonly lines: Readonly<Record<string, number>>;
  readonly card: string;
  readonly address: "good" | "refused";
  readonly placedAtMs: number;
  /** Which replica is asked first. */
  readonly replica: number;
  readonly totalMinor: bigint;
}

/** A time in which a service cannot be reached: calls are refused, lost, or arrive when it is long over. */
export interface Outage {
  readonly service: "inventory" | "payments" | "shipping";
  readonly fromMs: number;
  readonly untilMs: number;
}

/** One history before it happens. */
export interface Plan {
  readonly pieces: Readonly<Record<string, number>>;
  readonly orders: readonly OrderPlan[];
  readonly outages: readonly Outage[];
  readonly choices: readonly number[];
}

const skus = ["LAMP", "MUG"] as const;

const order: fc.Arbitrary<OrderPlan> = fc
  .record({
    LAMP: fc.integer({ min: 1, max: 2 }),
    MUG: fc.integer({ min: 0, max: 2 }),
    card: fc.oneof(
      { weight: 6, arbitrary: fc.constant("pm_card_visa") },
      { weight: 1, arbitrary: fc.constantFrom(declinedCard, captureDeclinedCard) },
    ),
    address: fc.oneof(
      { weight: 6, arbitrary: fc.constant("good" as const) },
      { weight: 1, arbitrary: fc.constant("refused" as const) },
    ),
    placedAtMs: fc.nat(400),
    replica: fc.nat(1),
  })
  .map(({ LAMP, MUG, ...rest }) => ({
    ...rest,
    lines: MUG > 0 ? { LAMP, MUG } : { LAMP },
    totalMinor: priceMinor * BigInt(LAMP + MUG) + feeMinor,
  }));

/** Up to twice as long as the longest budget of a step. */
const outage: fc.Arbitrary<Outage> = fc
  .record({
    service: fc.constantFrom("inventory" as const, "payments" as const, "shipping" as const),
    fromMs: fc.nat(2_000),
    lastsMs: fc.nat(60_000),
  })
  .map(({ service, fromMs, lastsMs }) => ({ service, fromMs, untilMs: fromMs + lastsMs }));

/** Choices are below 1,000; the smaller, the kinder, which is where shrinking goes. */
const choices = fc.array(fc.nat(999), { maxLength: 250, size: "max" });

/** Any history. */
export const plans: fc.Arbitrary<Plan> = fc.record({
  pieces: fc.record(Object.fromEntries(skus.map((sku) => [sku, fc.nat(8)]))),
  orders: fc.array(order, { minLength: 1, maxLength: 3 }),
  outages: fc.array(outage, { maxLength: 2 }),
  choices,
});
