import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { OrderPlaced } from "./order.ts";

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

const keyReused = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.IDEMPOTENCY_KEY_REUSED,
    "This Idempotency-Key was used with another request.",
  );
