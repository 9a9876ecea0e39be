import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Money } from "./order.ts";

/**
 * Refuses an order that costs something else than its customer was shown; who names no total takes the shop's.
 * @throws ServiceError TOTAL_DIFFERS, CURRENCY_MISMATCH.
 */
export function checkExpectedTotal(total: Money, expected: Money | undefined): void {
  if (!expected) return;
  if (expected.currencyCode !== total.currencyCode) throw shownInAnother(expected, total);
  if (expected.amountMinor !== total.amountMinor) throw totalDiffers(total);
}

const shownInAnother = (expected: Money, { currencyCode }: Money) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.CURRENCY_MISMATCH,
    `The expected total is in ${expected.currencyCode}, the order in ${currencyCode}.`,
  );

const totalDiffers = ({ currencyCode, amountMinor }: Money) =>
  serviceError(ErrorReasonSchema, ErrorReason.TOTAL_DIFFERS, "The order's total is not the one expected.", {
    metadata: { total_currency: currencyCode, total_minor: String(amountMinor) },
  });
