import type { Random } from "../random.ts";
import type { PurchaseBody } from "./purchase.ts";

/** A change that somebody wants, under one key however often it is asked for. */
export interface Intention {
  readonly action: "place" | "cancel" | "refund" | "return";
  readonly op: number;
  readonly key: string;
  readonly path: string;
  readonly body: unknown;
  /** What the history keeps of the body. */
  readonly asked: unknown;
  /** The order that is there already. */
  readonly orderId?: string;
}

/** An order that a client has placed. */
export interface Bought {
  readonly orderId: string;
  readonly lines: PurchaseBody["lines"];
}

/** How often, per order placed, somebody wants something back. */
export interface Regrets {
  readonly refundShare: number;
  readonly returnShare: number;
}

/** An order in a hundred or so of each kind is under way at any moment: they meet one another, and the faults. */
export const usualRegrets: Regrets = { refundShare: 0.08, returnShare: 0.05 };

/** Placing an order. */
export const placement = (seed: number, op: number, body: PurchaseBody): Intention => ({
  ...{ action: "place", op, key: `chaos-${seed}-${op}`, path: "/v1/orders", body, asked: body.lines },
});

/** The same key for something else, which has to be refused. */
export const altered = (intention: Intention): Intention => ({
  ...intention,
  body: { ...(intention.body as object), paymentMethod: "pm_card_other" },
});

/** A change of mind about an order that has just been placed. */
export const cancellation = ({ op, key }: Intention, orderId: string): Intention => ({
  ...{ action: "cancel", op, key: `${key}-cancel`, orderId, path: `/v1/orders/${orderId}:cancel` },
  ...{ body: {}, asked: {} },
});

/** A part of what an order cost, which every order costs more than. */
export function refund({ op, key }: Intention, { orderId }: Bought, random: Random): Intention {
  const body = { amount: { currencyCode: "EUR", amountMinor: String(random.integer(1, 300)) } };
  const path = `/v1/orders/${orderId}/refunds`;
  return { action: "refund", op, key: `${key}-refund`, orderId, path, body, asked: body };
}

/** One piece of an order; every fourth is not fit to be sold again. */
export function giveBack({ op, key }: Intention, { orderId, lines }: Bought, random: Random): Intention {
  const { productId } = random.pick(lines);
  const body = { lines: [{ productId, quantity: 1 }], unsellable: random.chance(0.25) };
  const path = `/v1/orders/${orderId}/returns`;
  return { action: "return", op, key: `${key}-return`, orderId, path, body, asked: body };
}
