import type { IncomingMessage } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { EdgeError, toEdgeError } from "./edge-error.ts";
import { Exchange } from "./exchange.ts";
import { Code } from "./grpc/grpc-code.ts";
import { refusePassthrough, servePassthrough } from "./grpc/passthrough.ts";
import type { Protocol } from "./options.ts";
import { type Response, sendProblem } from "./rest/answer.ts";
import { applyCors } from "./rest/cors.ts";
import { serveRest } from "./rest/rest.ts";
import type { Request } from "./rest/rest-context.ts";
import { createSocketServer, type SocketServer } from "./rest/web-socket.ts";
import { createRpcServer, type RpcServer } from "./rpc/rpc.ts";
import type { Runtime } from "./runtime.ts";
import type { Handlers } from "./server/handlers.ts";

/** Sorts requests by protocol: plain gRPC passes through, other RPC protocols are translated, the rest is REST. */
export function createDispatcher(runtime: Runtime): Handlers {
  const serveRpc = createRpcServer(runtime);
  const sockets = createSocketServer(runtime);
  return {
    onRequest: (request, response) => dispatch(runtime, serveRpc, request, response),
    onGrpc: (stream, headers) => dispatchGrpc(runtime, stream, headers),
    upgrades: (request) => asksForStream(runtime, request, sockets),
    onUpgrade: (request, socket, head) => dispatchUpgrade(runtime, sockets, request, socket, head),
    onDrain: () => sockets.goAway(),
  };
}

function dispatch(runtime: Runtime, serveRpc: RpcServer, request: Request, response: Response): void {
  const { authority, target } = partsOf(request);
  const path = pathOf(target);
  const protocol = protocolOf(runtime, request, path);
  const exchange = exchangeOf(runtime, request, protocol, authority, target);
  try {
    runtime.options.onRequest?.(exchange);
    if (applyCors(runtime, exchange, response)) return;
    if (target.length > runtime.limits.maxTargetBytes) throw targetTooLong(runtime.limits.maxTargetBytes);
    if (protocol === "grpc" && (request.httpVersionMajor < 2 || request.method !== "POST"))
      throw grpcNeedsHttp2();
    const context = { runtime, exchange, request, response };
    if (protocol === "rest") serveRest(context);
    else serveRpc(context, path);
  } catch (error) {
    sendProblem(runtime, exchange, response, toEdgeError(error));
  }
}

function exchangeOf(
  runtime: Runtime,
  request: Request,
  protocol: Protocol,
  authority: string,
  target: string,
): Exchange {
  return new Exchange(
    {
      protocol,
      httpMethod: request.method ?? "",
      target,
      authority,
      remoteAddress: request.socket.remoteAddress ?? "",
      headers: request.headers,
    },
    runtime.options.onSettled,
  );
}

/** A WebSocket's handshake at the path of a stream; every other upgrade is ignored, as HTTP lets a server do. */
function asksForStream(runtime: Runtime, request: IncomingMessage, sockets: SocketServer): boolean {
  const { headers, method } = request;
  if (method !== "GET" || headers.upgrade?.toLowerCase() !== "websocket") return false;
  const { target } = partsOf(request);
  return target.length <= runtime.limits.maxTargetBytes && sockets.match(pathOf(target)) !== undefined;
}

function dispatchUpgrade(
  runtime: Runtime,
  sockets: SocketServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { authority, target } = partsOf(request);
  const path = pathOf(target);
  const match = sockets.match(path);
  if (match === undefined) {
    socket.destroy();
    return;
  }
  const exchange = exchangeOf(runtime, request, "rest", authority, target);
  sockets.serve({ exchange, match, query: target.slice(path.length + 1), request, socket, head });
}

function dispatchGrpc(runtime: Runtime, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const exchange = new Exchange(
    {
      protocol: "grpc",
      httpMethod: "POST",
      target: headers[":path"] ?? "",
      authority: headers[":authority"] ?? headers.host ?? "",
      remoteAddress: stream.session?.socket.remoteAddress ?? "",
      headers: headers as Exchange["headers"],
    },
    runtime.options.onSettled,
  );
  try {
    runtime.options.onRequest?.(exchange);
  } catch (error) {
    refusePassthrough(runtime, exchange, stream, toEdgeError(error));
    return;
  }
  servePassthrough(runtime, exchange, stream);
}

/**
 * Callers of proxies send the whole URL as target (RFC 9112, 3.2.2): the path is cut out of it unnormalised, and its authority
 * outranks Host.
 */
function partsOf({ url = "", headers }: Request): { authority: string; target: string } {
  if (url.startsWith("/") || !/^https?:\/\//i.test(url)) {
    const authority = (headers as IncomingHttpHeaders)[":authority"] ?? headers.host ?? "";
    return { authority, target: url };
  }
  const start = url.indexOf("//") + 2;
  const length = url.slice(start).search(/[/?#]/);
  if (length === -1) return { authority: url.slice(start), target: "/" };
  const rest = url.slice(start + length);
  return {
    authority: url.slice(start, start + length),
    target: rest.startsWith("/") ? rest : `/${rest}`,
  };
}

function pathOf(target: string): string {
  const at = target.indexOf("?");
  return at === -1 ? target : target.slice(0, at);
}

function protocolOf(runtime: Runtime, request: Request, path: string): Protocol {
  const contentType = request.headers["content-type"];
  if (contentType?.startsWith("application/grpc-web")) return "grpc-web";
  if (contentType?.startsWith("application/grpc")) return "grpc";
  if (contentType?.startsWith("application/connect+")) return "connect";
  return runtime.table.procedures.has(path) && request.method !== "OPTIONS" ? "connect" : "rest";
}

function grpcNeedsHttp2(): EdgeError {
  return new EdgeError({
    code: Code.INVALID_ARGUMENT,
    httpStatus: 415,
    reason: "HTTP2_REQUIRED",
    message: "gRPC needs POST over HTTP/2",
  });
}

function targetTooLong(maxBytes: number): EdgeError {
  return new EdgeError({
    code: Code.INVALID_ARGUMENT,
    httpStatus: 414,
    reason: "TARGET_TOO_LONG",
    message: `the request target is longer than ${maxBytes} bytes`,
  });
}
