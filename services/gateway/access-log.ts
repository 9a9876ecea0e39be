import type { Settled } from "#edge/edge.ts";
import { type Logger, type Metrics, traceFields } from "#kit/telemetry/telemetry.ts";
import { factsOf } from "./entrance.ts";

/** Refusals that tell of who may not: their lines say from where they came. */
const suspicious = new Set([401, 403, 421, 429]);

/**
 * Tells of a request once it has its answer: one line, two metrics, its span's end. None of them holds the target, since a query may
 * carry a ticket or words that somebody searched for.
 */
export function reportRequest(settled: Settled, log: Logger, metrics: Metrics): void {
  const { httpStatus, durationMs, error } = settled;
  const route = routeOf(settled);
  metrics.httpServerRequests(route, String(httpStatus)).inc();
  metrics.httpServerDuration(route).observe(durationMs / 1_000);
  endSpan(settled, route);
  const level = httpStatus >= 500 ? "warn" : "info";
  if (!log.isLevelEnabled(level)) return;
  const fields = lineOf(settled, route);
  log[level](error?.cause === undefined ? fields : { ...fields, err: error.cause }, "request");
}

const routeNames = new WeakMap<object, string>();

/** Never the path, whose variety is the callers'. */
function routeOf({ method, route }: Settled): string {
  const matched = route ?? method;
  if (!matched) return "none";
  let name = routeNames.get(matched);
  if (name === undefined) {
    name = route ? `${route.httpMethod} ${route.template}` : `${method?.parent.name}/${method?.name}`;
    routeNames.set(matched, name);
  }
  return name;
}

function lineOf(settled: Settled, route: string) {
  const { request, httpStatus, code, reason, durationMs, requestBytes, responseBytes } = settled;
  const { correlationId, traceparent, subject, address } = factsOf(request);
  return {
    protocol: request.protocol,
    httpMethod: request.httpMethod,
    route,
    httpStatus,
    code,
    reason,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    requestBytes,
    responseBytes,
    subject,
    correlationId,
    traceId: traceFields(traceparent)?.traceId,
    ...(suspicious.has(httpStatus) && { address }),
  };
}

function endSpan({ request, httpStatus, error }: Settled, route: string): void {
  const { span } = factsOf(request);
  if (!span) return;
  span.setAttribute("http.route", route);
  span.setAttribute("http.response.status_code", httpStatus);
  span.end(httpStatus >= 500 ? (error ?? new Error(`answered ${httpStatus}`)) : undefined);
}
