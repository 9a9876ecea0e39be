import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { type Response, sendProblem } from "./answer.ts";
import { type ConnectServer, createConnectServer } from "./connect.ts";
import { applyCors } from "./cors.ts";
import { EdgeError, toEdgeError } from "./edge-error.ts";
import { Exchange } from "./exchange.ts";
import { Code } from "./grpc-code.ts";
import type { Handlers } from "./listener.ts";
import type { Protocol } from "./options.ts";
import { servePassthrough } from "./passthrough.ts";
import { serveRest } from "./rest.ts";
import type { Request } from "./rest-context.ts";
import type { Runtime } from "./runtime.ts";

/** Sorts requests by protocol: gRPC passes through, Connect and gRPC-Web go to connect-node, the rest is REST. */
export function createDispatcher(runtime: Runtime): Handlers {
  const serveConnect = createConnectServer(runtime);
  return {
    onRequest: (request, response) => dispatch(runtime, serveConnect, request, response),
    onGrpc: (stream, headers) => dispatchGrpc(runtime, stream, headers),
  };
}

function dispatch(runtime: Runtime, serveConnect: ConnectServer, request: Request, response: Response): void {
  const target = originForm(request.url ?? "");
  const path = pathOf(target);
  const protocol = protocolOf(runtime, request, path);
  const exchange = new Exchange(
    {
      protocol,
      httpMethod: request.method ?? "",
      target,
      remoteAddress: request.socket.remoteAddress ?? "",
      headers: request.headers,
    },
    runtime.options.onSettled,
  );
  try {
    runtime.options.onRequest?.(exchange);
    if (applyCors(runtime, exchange, response)) return;
    if (target.length > runtime.limits.maxTargetBytes) throw targetTooLong(runtime.limits.maxTargetBytes);
    if (protocol === "grpc") throw grpcNeedsHttp2();
    const context = { runtime, exchange, request, response };
    if (protocol === "rest") serveRest(context);
    else serveConnect(context, path);
  } catch (error) {
    sendProblem(runtime, exchange, response, toEdgeError(error));
  }
}

function dispatchGrpc(runtime: Runtime, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const exchange = new Exchange(
    {
      protocol: "grpc",
      httpMethod: "POST",
      target: headers[":path"] ?? "",
      remoteAddress: stream.session?.socket.remoteAddress ?? "",
      headers: headers as Exchange["headers"],
    },
    runtime.options.onSettled,
  );
  try {
    runtime.options.onRequest?.(exchange);
    servePassthrough(runtime, exchange, stream);
  } catch {
    // A hook that throws where it must not takes its own call down, not the process.
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** Callers of proxies send the whole URL as target (RFC 9112, 3.2.2); the path is cut out of it unnormalised. */
function originForm(url: string): string {
  if (url.startsWith("/") || !/^https?:\/\//i.test(url)) return url;
  const slash = url.indexOf("/", url.indexOf("//") + 2);
  return slash === -1 ? "/" : url.slice(slash);
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
