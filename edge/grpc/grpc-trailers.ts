import type { IncomingHttpHeaders } from "node:http2";
import { type EdgeError, publicText } from "../edge-error.ts";
import { pushbackHeader } from "./error-reasons.ts";
import { Code, isInternalCode } from "./grpc-code.ts";
import { encodeStatusDetails, isBare } from "./status-details.ts";

/**
 * A backend's headers or trailers as callers get them: an internal error's text stays inside in this protocol too, a success has no
 * message, and binary entries have no padding, as the protocol asks of senders.
 */
export function passOn(headers: IncomingHttpHeaders, internalErrors?: "mask" | "show"): IncomingHttpHeaders {
  const passed: IncomingHttpHeaders = {};
  const code = Number(headers["grpc-status"] ?? Code.OK);
  const isMasked = internalErrors !== "show" && isInternalCode(code);
  for (const name in headers) {
    const value = headers[name];
    if (name === "grpc-message" && (code === Code.OK || isMasked)) continue;
    if (name === "grpc-status-details-bin" && isMasked) continue;
    passed[name] = name.endsWith("-bin") && typeof value === "string" ? value.replace(/=+$/, "") : value;
  }
  if (isMasked) passed["grpc-message"] = "internal error";
  return passed;
}

/** The trailers of an error, with the same details in each protocol. */
export function trailersOf(error: EdgeError): Record<string, string> {
  return {
    "grpc-status": String(error.code),
    "grpc-message": encodeURIComponent(publicText(error)).replaceAll("%20", " "),
    ...(error.headers?.[pushbackHeader] !== undefined && { [pushbackHeader]: error.headers[pushbackHeader] }),
    // Without padding, as the protocol asks of senders.
    ...(!isBare(error) && {
      "grpc-status-details-bin": Buffer.from(encodeStatusDetails(error))
        .toString("base64")
        .replace(/=+$/, ""),
    }),
  };
}
