import type { EdgeRequest } from "#edge/edge.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { newTraceparent, type Span, startSpan, traceFields } from "#kit/telemetry/telemetry.ts";
import { callerAddress } from "./addresses.ts";
import type { GatewayConfig } from "./config.ts";
import { hostMatcher, mayOpenWebSocket } from "./hosts.ts";
import { toEdgeError } from "./problems.ts";

/** What the gateway knows of a request beside what it says; the request's `context`. */
export interface RequestFacts {
  readonly correlationId: string;
  /** W3C trace context that the services continue. */
  readonly traceparent: string;
  /** While tracing is on. */
  readonly span: Span | undefined;
  /** Where it comes from, proxies of ours left out. */
  readonly address: string;
  /** Whom its token names, once that is known. */
  subject: string | undefined;
}

/** What the entrance decides by. */
export type EntranceOptions = Pick<
  GatewayConfig,
  | "allowedHosts"
  | "websocketOrigins"
  | "trustedProxies"
  | "allowedAddresses"
  | "deniedAddresses"
  | "hstsSeconds"
>;

/** A client's own correlation id is kept if it is one: it ends up in logs, headers and events. */
const correlationShape = /^[A-Za-z0-9._:-]{1,128}$/;

/** An answer is data: whoever makes a page of it is to run nothing, and to frame nothing. */
const safeHeaders = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
};

/**
 * What holds for every request, whether or not there is a route for it: it gets a correlation id, a trace and headers that keep
 * browsers from misreading answers, and is refused by address, by host, and by origin where it asks for a WebSocket.
 * @throws EdgeError 403 or 421, by the function made.
 */
export function createEntrance(options: EntranceOptions): (request: EdgeRequest) => void {
  const { hstsSeconds, trustedProxies } = options;
  const headers = Object.entries({
    ...safeHeaders,
    ...(hstsSeconds > 0 && { "strict-transport-security": `max-age=${hstsSeconds}` }),
  });
  const isServed = hostMatcher(options.allowedHosts);
  return (request) => {
    for (const [name, value] of headers) request.setHeader(name, value);
    const address = callerAddress(request.remoteAddress, request.header("x-forwarded-for"), trustedProxies);
    nameRequest(request, address);
    const fault = faultOf(request, address, options, isServed);
    if (fault) throw toEdgeError(fault);
  };
}

function nameRequest(request: EdgeRequest, address: string): void {
  const given = request.header("x-correlation-id");
  const correlationId = given !== undefined && correlationShape.test(given) ? given : newUuid();
  request.setMetadata("x-correlation-id", correlationId);
  request.setHeader("x-correlation-id", correlationId);
  const parent = request.header("traceparent");
  const span = startSpan(request.httpMethod, "server", parent);
  const continued = traceFields(parent) && parent;
  const traceparent = span?.traceparent ?? continued ?? newTraceparent();
  if (traceparent !== parent) request.setMetadata("traceparent", traceparent);
  if (address !== request.remoteAddress) request.setMetadata("x-forwarded-for", address);
  request.context = { correlationId, traceparent, span, address, subject: undefined } satisfies RequestFacts;
}

function faultOf(
  request: EdgeRequest,
  address: string,
  { allowedAddresses, deniedAddresses, websocketOrigins }: EntranceOptions,
  isServed: (authority: string) => boolean,
): ServiceError | undefined {
  const isIn = allowedAddresses.isEmpty || allowedAddresses.has(address);
  if (!isIn || deniedAddresses.has(address)) return addressRefused();
  if (!isServed(request.authority)) return hostNotServed();
  const origin = request.header("origin");
  if (origin === undefined || !asksForWebSocket(request)) return undefined;
  return mayOpenWebSocket(origin, request.authority, websocketOrigins) ? undefined : originRefused();
}

/** By Upgrade over HTTP/1.1, by extended CONNECT over HTTP/2 (RFC 8441). */
const asksForWebSocket = (request: EdgeRequest) =>
  (request.header("upgrade") ?? request.header(":protocol"))?.toLowerCase() === "websocket";

/** The facts of a request that has come through the entrance. */
export const factsOf = ({ context }: EdgeRequest) => context as RequestFacts;

const addressRefused = () =>
  serviceError(ErrorReasonSchema, ErrorReason.ADDRESS_REFUSED, "This address is not let in.");

const hostNotServed = () =>
  serviceError(ErrorReasonSchema, ErrorReason.HOST_NOT_SERVED, "This host is not served here.");

const originRefused = () =>
  serviceError(ErrorReasonSchema, ErrorReason.ORIGIN_REFUSED, "Pages of this origin may not do that.");
