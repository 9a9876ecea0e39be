import type { IncomingHttpHeaders } from "node:http2";
import type { EdgeError } from "./edge-error.ts";
import { isInternalCode } from "./grpc-code.ts";
import { encodeStatusDetails } from "./status-details.ts";

/** An internal error's text stays inside in this protocol too. */
export function masked(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const status = headers["grpc-status"];
  if (status === undefined || !isInternalCode(Number(status))) return headers;
  const { "grpc-status-details-bin": _details, ...rest } = headers;
  return { ...rest, "grpc-message": "internal error" };
}

/** The trailers of an error, with the same details in each protocol. */
export function trailersOf(error: EdgeError): Record<string, string> {
  const text = isInternalCode(error.code) ? "internal error" : error.message;
  return {
    "grpc-status": String(error.code),
    "grpc-message": encodeURIComponent(text).replaceAll("%20", " "),
    "grpc-status-details-bin": Buffer.from(encodeStatusDetails(error)).toString("base64"),
  };
}
