import {
  ErrorReason as AnyReason,
  ErrorReasonSchema as AnyReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** There is no such order, as far as the caller is concerned. */
export const orderNotFound = (orderId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_NOT_FOUND, `There is no order ${orderId}.`, {
    metadata: { order_id: orderId },
  });

/** A line names something else than what is on sale. */
export const productNotSold = (productId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PRODUCT_NOT_SOLD, `The product ${productId} is not sold.`, {
    metadata: { product_id: productId },
  });

/** A line's price cannot be added to the others. */
export const currencyMismatch = (productId: string, priced: string, wanted: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.CURRENCY_MISMATCH,
    `The product ${productId} is priced in ${priced}, the order in ${wanted}.`,
    { metadata: { product_id: productId } },
  );

/** More than one payment can move. */
export const totalTooLarge = (maxMinor: bigint) =>
  serviceError(AnyReasonSchema, AnyReason.VALIDATION_FAILED, "The order's total is too large.", {
    violations: [{ field: "lines", description: `The total must be at most ${maxMinor} minor units.` }],
  });

/** The change comes too late. */
export const alreadyEnded = ({ orderId, status }: { readonly orderId: string; readonly status: string }) =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_ALREADY_ENDED, `The order ${orderId} is ${status}.`, {
    metadata: { order_id: orderId, status },
  });
