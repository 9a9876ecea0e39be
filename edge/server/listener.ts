import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type ServerHttp2Session } from "node:http2";
import net, { type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { EdgeLimits, ListenAddress } from "../options.ts";
import type { Handlers } from "./handlers.ts";
import { createHttp2 } from "./http2-server.ts";
import { StalledWrites } from "./stalled-writes.ts";
import { createTlsPort } from "./tls-port.ts";

/** One open port. */
export interface Listener {
  readonly port: number;
  /** Sends callers away, then takes no more connections, lets requests in flight end, and resolves when all have or time is over. */
  drain(limits: Pick<EdgeLimits, "drainLingerMs" | "drainTimeoutMs">): Promise<void>;
  /** Closes every connection now. */
  close(): Promise<void>;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const keepAliveTimeoutMs = 65_000;
// headersTimeout acts only as often as connections are checked.
const connectionsCheckMs = 1_000;

/**
 * Opens a port for HTTP/1.1 and HTTP/2: in cleartext told apart by the first bytes of a connection, over TLS by ALPN.
 * @throws Error when the port is taken or a TLS file cannot be read.
 */
export async function startListener(
  address: ListenAddress,
  handlers: Handlers,
  limits: EdgeLimits,
): Promise<Listener> {
  const http1 = createHttp1(handlers, limits);
  const sessions = new Set<ServerHttp2Session>();
  const stalled = new StalledWrites(limits.writeTimeoutMs);
  const h2 = createHttp2(handlers, limits, sessions, stalled);
  const sockets = new Set<Socket>();
  const hand = (socket: Socket, isHttp2: boolean): void => {
    stalled.watch(socket);
    (isHttp2 ? h2 : http1).emit("connection", socket);
  };
  const secure =
    address.tls &&
    createTlsPort(address.tls, limits.headersTimeoutMs, (socket) =>
      hand(socket, socket.alpnProtocol === "h2"),
    );
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (secure) secure.server.emit("connection", socket);
    else sniff(socket, limits.headersTimeoutMs, (isHttp2) => hand(socket, isHttp2));
  });
  await listen(server, address);
  const port = (server.address() as net.AddressInfo).port;
  return {
    port,
    async drain({ drainLingerMs, drainTimeoutMs }) {
      if (drainLingerMs > 0) await sendAway(sessions, drainLingerMs);
      handlers.onDrain();
      await drain(server, http1, sessions, sockets, drainTimeoutMs);
    },
    close: async () => {
      const closed = closeServer(server);
      secure?.stop();
      stalled.stop();
      for (const socket of sockets) socket.destroy();
      http1.close();
      h2.close();
      await closed;
    },
  };
}

function createHttp1(handlers: Handlers, limits: EdgeLimits): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: connectionsCheckMs,
      insecureHTTPParser: false,
      requireHostHeader: true,
      shouldUpgradeCallback: (request: IncomingMessage) => handlers.upgrades(request),
    },
    (request: IncomingMessage, response: ServerResponse) => handlers.onRequest(request, response),
  );
  server.on("upgrade", (request, socket, head) => handlers.onUpgrade(request, socket, head));
  server.on("clientError", answerClientError);
  // Its connections come from the sniffing server; this starts the timeouts' check, which listen() would.
  server.emit("listening");
  return server;
}

const clientErrors: Record<string, string> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** Answers what node's parser refuses before there is a request. */
function answerClientError(error: NodeJS.ErrnoException, stream: Duplex): void {
  if (!stream.writable || error.code === "ECONNRESET") {
    stream.destroy();
    return;
  }
  const line = clientErrors[error.code ?? ""] ?? "400 Bad Request";
  const [status = "400", ...title] = line.split(" ");
  const problem = {
    type: "about:blank",
    title: title.join(" "),
    status: Number(status),
    code: "INVALID_ARGUMENT",
    reason: "MALFORMED_REQUEST",
    domain: "edge",
  };
  const body = JSON.stringify(problem);
  stream.end(
    `HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Peeks at a connection's first bytes; a connection that sends too few in time is closed. */
function sniff(socket: Socket, timeoutMs: number, hand: (isHttp2: boolean) => void): void {
  const late = setTimeout(() => socket.destroy(), timeoutMs);
  socket.once("close", () => clearTimeout(late));
  let seen: Buffer = Buffer.alloc(0);
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const same = seen.compare(preface, 0, length, 0, length) === 0;
    // Three bytes tell: no HTTP/1.1 method begins with PRI. Fewer are kept here, since putting them back would read as news.
    if (same && seen.length < 3) return;
    clearTimeout(late);
    socket.removeListener("readable", look);
    socket.unshift(seen);
    hand(same);
  };
  socket.on("readable", look);
}

function listen(server: net.Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** The largest stream id there is: HTTP/2 callers open no more streams, and none that is on its way is turned away. */
const anyStream = 2 ** 31 - 1;

function sendAway(sessions: Set<ServerHttp2Session>, lingerMs: number): Promise<void> {
  for (const session of sessions) session.goaway(http2.constants.NGHTTP2_NO_ERROR, anyStream);
  return new Promise((resolve) => setTimeout(resolve, lingerMs));
}

async function drain(
  server: net.Server,
  http1: http.Server,
  sessions: Set<ServerHttp2Session>,
  sockets: Set<Socket>,
  timeoutMs: number,
): Promise<void> {
  const closed = closeServer(server);
  const closeIdle = (): void => {
    http1.closeIdleConnections();
    // Callers open connections ahead of need; one that has never sent a byte is known to nobody else.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  closeIdle();
  for (const session of sessions) session.close();
  const idle = setInterval(closeIdle, 50);
  const late = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, timeoutMs);
  await closed;
  clearInterval(idle);
  clearTimeout(late);
}

function closeServer(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
