import { keyReused } from "#kit/errors/errors.ts";
import type { Money, OrderPlaced, Refund } from "./order.ts";
import type { AskedLine } from "./refund.ts";

/**
 * Refuses what a key is used for once more, unless it asks for the same as the order it stands for. Prices may have changed.
 * @throws ServiceError IDEMPOTENCY_KEY_REUSED.
 */
export function checkSameRequest(placed: OrderPlaced, again: OrderPlaced): void {
  if (textOf(placed) !== textOf(again)) throw keyReused();
}

const textOf = ({ lines, shippingAddress, serviceLevel }: OrderPlaced) => {
  const { name, line1, line2, city, postalCode, countryCode } = shippingAddress;
  const address = [name, line1, line2, city, postalCode, countryCode];
  return JSON.stringify([
    lines.map(({ productId, quantity }) => [productId, quantity]),
    address,
    serviceLevel,
  ]);
};

/** What a return or refund asks for, as far as it can differ under one key. */
export interface AskedRefund {
  readonly lines: readonly AskedLine[];
  /** Undefined where the lines say it. */
  readonly amount?: Money | undefined;
  readonly unsellable?: boolean;
  readonly note: string;
}

/**
 * Refuses what a key is used for once more, unless it asks for the same as the return or refund it stands for.
 * @throws ServiceError IDEMPOTENCY_KEY_REUSED.
 */
export function checkSameRefund(accepted: Refund, again: AskedRefund): void {
  const { amount = accepted.amount, unsellable = false, note } = again;
  const same =
    linesOf(accepted) === linesOf(again) &&
    amount.amountMinor === accepted.amount.amountMinor &&
    amount.currencyCode === accepted.amount.currencyCode &&
    unsellable === accepted.unsellable &&
    note === accepted.note;
  if (!same) throw keyReused();
}

/** Products and pieces; what was accepted has its lines added up. */
function linesOf({ lines }: Pick<AskedRefund, "lines">): string {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of lines)
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return JSON.stringify([...quantities].sort());
}
