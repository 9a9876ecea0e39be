import type { Money } from "../payment.ts";

const maxAtOnce = 8;

/** Does the same for each, few at a time, so that a comparison leaves the card processor to those who pay. */
export async function inFew<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < items.length; at += maxAtOnce) {
    await Promise.all(items.slice(at, at + maxAtOnce).map(work));
  }
}

/** Money as findings show it: minor units and currency. */
export const show = ({ amountMinor, currencyCode }: Money): string => `${amountMinor} ${currencyCode}`;
