import { cors as protocols } from "@connectrpc/connect";
import type { Exchange } from "../exchange.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { CorsOptions } from "../options.ts";
import type { Runtime } from "../runtime.ts";
import { type Response, sendAnswer } from "./answer.ts";

const restMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const restRequestHeaders = ["content-type", "authorization", "last-event-id"];

/** Applies the cross-origin rules; true when the request was a preflight and has been answered. */
export function applyCors(runtime: Runtime, exchange: Exchange, response: Response): boolean {
  const { cors } = runtime.options;
  if (cors === undefined) return false;
  // The answer differs by origin, so caches must keep them apart even where none is allowed.
  exchange.setHeader("vary", "origin");
  const origin = exchange.header("origin");
  if (origin === undefined) return false;
  const allowed = cors.origins.includes(origin);
  if (allowed) {
    exchange.setHeader("access-control-allow-origin", origin);
    exchange.setHeader("access-control-expose-headers", exposed(cors));
  }
  const preflight =
    exchange.httpMethod === "OPTIONS" && exchange.header("access-control-request-method") !== undefined;
  if (!preflight) return false;
  if (allowed) allowPreflight(exchange, cors);
  sendAnswer(runtime, exchange, response, 204, {}, undefined);
  exchange.settle(204, Code.OK);
  return true;
}

function allowPreflight(exchange: Exchange, cors: CorsOptions): void {
  const headers = [...protocols.allowedHeaders, ...restRequestHeaders, ...(cors.requestHeaders ?? [])];
  exchange.setHeader("access-control-allow-methods", restMethods.join(", "));
  exchange.setHeader("access-control-allow-headers", headers.join(", "));
  // Two hours is the longest Chromium keeps an answer.
  exchange.setHeader("access-control-max-age", String(cors.maxAgeSeconds ?? 7200));
}

function exposed(cors: CorsOptions): string {
  return [...protocols.exposedHeaders, "Retry-After", ...(cors.exposedHeaders ?? [])].join(", ");
}
