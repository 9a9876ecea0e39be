import type { Money } from "../payment.ts";

/** Money as findings show it: minor units and currency. */
export const show = ({ amountMinor, currencyCode }: Money): string => `${amountMinor} ${currencyCode}`;
