import { toServiceError } from "#kit/errors/errors.ts";
import type { Interceptor } from "../interceptor.ts";

/** The funnel: whatever is thrown inside becomes the call's failure, and nothing is thrown further out. */
export const errors: Interceptor = (_method, next) => {
  return async (call) => {
    try {
      await next(call);
    } catch (error) {
      call.failure = toServiceError(error);
    }
  };
};
