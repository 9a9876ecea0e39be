import type { Random } from "../random.ts";

/** What is on sale during a run. */
export interface Goods {
  readonly sku: string;
  readonly productId: string;
  readonly currencyCode: string;
  /** How many pieces there were at the beginning. */
  readonly pieces: number;
  /** Wanted by more than can have it. */
  readonly hot: boolean;
}

/** One order as a client asks for it: the body of `POST /v1/orders`. */
export interface PurchaseBody {
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  readonly shippingAddress: Readonly<Record<string, string>>;
  readonly serviceLevel: string;
  readonly paymentMethod: string;
}

const address = {
  ...{ name: "Samira Haddad", line1: "Oranienstrasse 25", city: "Berlin", countryCode: "DE" },
};

/** Draws what somebody buys: mostly what works, and each way in which an order can fail. */
export function drawPurchase(random: Random, goods: readonly Goods[]): PurchaseBody {
  const [home, foreign] = [true, false].map((euro) =>
    goods.filter(({ currencyCode }) => (currencyCode === "EUR") === euro),
  ) as [Goods[], Goods[]];
  const chosen = random.chance(0.3) ? random.pick(home.filter(({ hot }) => hot)) : random.pick(home);
  const more = random.chance(0.25) ? [random.pick(home)] : [];
  const stranger = random.chance(0.03) ? [random.pick(foreign)] : [];
  return {
    lines: [chosen, ...more, ...stranger].map(({ productId }) => ({
      productId,
      quantity: random.integer(1, 3),
    })),
    shippingAddress: { ...address, postalCode: drawPostalCode(random) },
    serviceLevel: random.chance(0.2) ? "SERVICE_LEVEL_EXPRESS" : "SERVICE_LEVEL_STANDARD",
    paymentMethod: drawCard(random),
  };
}

/** In percent: refused addresses, slow ones and withheld answers. */
function drawPostalCode(random: Random): string {
  const percent = random.next() * 100;
  if (percent < 5) return "REFUSE";
  if (percent < 6) return "SLOW";
  return percent < 7 ? "TIMEOUT" : "10999";
}

/** In percent: ten declines, and the cards that are slow, withhold their answer or authorize what they do not pay. */
function drawCard(random: Random): string {
  const percent = random.next() * 100;
  if (percent < 8) return "pm_card_chargeDeclined";
  if (percent < 10) return "pm_card_chargeDeclinedInsufficientFunds";
  if (percent < 11) return "pm_card_captureDeclined";
  if (percent < 12) return "pm_card_chargeThenTimeout";
  return percent < 13 ? "pm_card_slow" : "pm_card_visa";
}
