import { STATUS_CODES } from "node:http";
import { type EdgeError, publicText } from "../edge-error.ts";
import { codeName, httpStatusOf } from "../grpc/grpc-code.ts";
import type { Problem } from "../options.ts";

/** The problem document of an error (X2); texts of INTERNAL, UNKNOWN and DATA_LOSS never leave. */
export function problemOf(error: EdgeError): Problem {
  const status = statusOf(error);
  const problem: Problem = {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: publicText(error),
    code: codeName(error.code),
    reason: error.reason,
    domain: error.domain,
  };
  if (error.metadata !== undefined) problem.metadata = { ...error.metadata };
  if (error.field !== undefined) problem.field = error.field;
  if (error.violations.length > 0) problem.violations = [...error.violations];
  if (error.retryAfterMs !== undefined) problem.retryAfterMs = error.retryAfterMs;
  return problem;
}

/** The HTTP status of an error. */
export function statusOf(error: EdgeError): number {
  return error.httpStatus ?? (error.code === 1 ? 499 : httpStatusOf(error.code));
}

/** Headers an error's answer carries beside its document. */
export function headersOf(error: EdgeError): Record<string, string> {
  const headers: Record<string, string> = { ...error.headers };
  // Whole seconds, rounded up: a caller that waits them is not early.
  if (error.retryAfterMs !== undefined) headers["retry-after"] = String(Math.ceil(error.retryAfterMs / 1000));
  return headers;
}
