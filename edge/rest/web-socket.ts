import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { EdgeError, toEdgeError } from "../edge-error.ts";
import type { Exchange } from "../exchange.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Match } from "../routing/matcher.ts";
import type { RestRoute } from "../routing/route-table.ts";
import type { Runtime } from "../runtime.ts";
import { problemFor } from "./answer.ts";
import { headersOf } from "./problem.ts";
import { SocketCall, type Upgrade } from "./socket-call.ts";

/** Serves streams over WebSockets (R6). */
export interface SocketServer {
  /** The stream a WebSocket at this path would be; undefined where there is none, so that the request stays an ordinary one. */
  match(path: string): Match<RestRoute> | undefined;
  serve(upgrade: Upgrade): void;
  /** Tells every caller to come again elsewhere (1001). */
  goAway(): void;
}

/** Compiles the WebSocket side of an edge: a route serves it when its RPC streams, be it bound to GET or to POST. */
export function createSocketServer(runtime: Runtime): SocketServer {
  const servers = new Map<number, WebSocketServer>();
  const calls = new Set<SocketCall>();
  return {
    match(path) {
      const { matcher } = runtime.table;
      return [matcher.match("GET", path), matcher.match("POST", path)].find(
        (match) => match !== undefined && match.entry.method.methodKind !== "unary",
      );
    },
    serve(upgrade) {
      const { exchange, match, socket } = upgrade;
      const call = exchange.matched(match.entry.procedure, match.entry);
      const refuse = (thrown: unknown) => refuseUpgrade(runtime, exchange, socket, toEdgeError(thrown));
      const accept = () => acceptUpgrade(runtime, upgrade, serverFor(match.entry, servers), calls);
      socket.on("error", () => socket.destroy());
      try {
        runtime.options.onRequest?.(exchange);
        checkOrigin(runtime, exchange);
        const pending = runtime.options.admit?.(call);
        if (pending === undefined) accept();
        else pending.then(accept).catch(refuse);
      } catch (error) {
        refuse(error);
      }
    },
    goAway() {
      for (const call of calls) call.goAway();
    },
  };
}

/** Frames are bounded by the method's own limit (1009). */
function serverFor({ procedure }: RestRoute, servers: Map<number, WebSocketServer>): WebSocketServer {
  const maxPayload = procedure.policy.maxRequestBytes;
  let server = servers.get(maxPayload);
  if (server === undefined) {
    server = new WebSocketServer({
      noServer: true,
      maxPayload,
      perMessageDeflate: false,
      clientTracking: false,
    });
    servers.set(maxPayload, server);
  }
  return server;
}

/** A page of another site must not speak with its visitor's rights: browsers do not ask before they open a WebSocket. */
function checkOrigin(runtime: Runtime, exchange: Exchange): void {
  const origin = exchange.header("origin");
  const { cors, webSocketOrigins = cors?.origins } = runtime.options;
  if (origin === undefined || webSocketOrigins?.includes(origin)) return;
  if (/^https?:\/\/(.*)$/.exec(origin)?.[1] === exchange.authority) return;
  throw new EdgeError({
    code: Code.PERMISSION_DENIED,
    reason: "ORIGIN_NOT_ALLOWED",
    message: "pages of this origin may not open streams here",
  });
}

function acceptUpgrade(
  runtime: Runtime,
  upgrade: Upgrade,
  server: WebSocketServer,
  calls: Set<SocketCall>,
): void {
  const { exchange, request, socket, head } = upgrade;
  if (socket.destroyed) {
    exchange.settle(499, Code.CANCELLED);
    return;
  }
  let opened: WebSocket | undefined;
  const addHeaders = (lines: string[]) => {
    for (const [name, value] of Object.entries(exchange.answerHeaders)) lines.push(`${name}: ${value}`);
  };
  server.once("headers", addHeaders);
  // Synchronous: a handshake that is none has been answered with 400 when this returns.
  server.handleUpgrade(request, socket, head, (webSocket) => {
    opened = webSocket;
  });
  server.off("headers", addHeaders);
  if (opened === undefined) {
    exchange.settle(400, Code.INVALID_ARGUMENT);
    return;
  }
  const call = new SocketCall(runtime, upgrade, opened);
  calls.add(call);
  opened.once("close", () => calls.delete(call));
  call.start();
}

/** Answers a handshake as any request would be answered, since no response object comes with one. */
function refuseUpgrade(runtime: Runtime, exchange: Exchange, socket: Duplex, error: EdgeError): void {
  const problem = problemFor(runtime, exchange, error);
  const body = JSON.stringify(problem);
  const headers = {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close",
    ...headersOf(error),
    ...exchange.answerHeaders,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join("")}\r\n${body}`);
  exchange.settle(problem.status, error.code, error);
}
