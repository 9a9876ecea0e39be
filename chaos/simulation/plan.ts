// What a history starts from: orders, pieces, and the choices by which everything goes wrong. All of it comes from one seed.
import fc from "fast-check";
import { feeMinor, priceMinor } from "./orders-replica.ts";
import { captureDeclinedCard, declinedCard } from "./outside-world.ts";

/** What a customer wants after having ordered: to cancel, to bring a lamp back, or, of support, five euros back. */
export interface Wish {
  readonly kind: "cancel" | "return" | "refund";
  /** Since the order was accepted. */
  readonly afterMs: number;
}

/** What a customer's wish was answered with: accepted, or the reason it was refused for. */
export interface Told {
  readonly kind: Wish["kind"];
  readonly answer: string;
}

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
  readonly wishes?: readonly Wish[];
  /** When the carrier takes the parcel along, if it ever does; since the order was accepted. */
  readonly dispatchedAfterMs?: number | undefined;
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

/** Most of them while checkout is under way, or just after. */
const wish: fc.Arbitrary<Wish> = fc.record({
  kind: fc.constantFrom("cancel" as const, "cancel" as const, "return" as const, "refund" as const),
  afterMs: fc.oneof(fc.nat(400), fc.nat(20_000)),
});

const wishes = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(wish, { minLength: 1, maxLength: 2 }) },
);

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
    wishes,
    dispatchedAfterMs: fc.option(fc.nat(20_000), { freq: 5, nil: undefined }),
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
