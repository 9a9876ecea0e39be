// A bare node:http server for the sandboxes: it reads a bounded body, calls one handler, writes one reply.
// They run inside benchmarks of other programs, so a request must cost them next to nothing.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { log } from "./log.ts";

const MAX_BODY_BYTES = 64 * 1024;
/** Above this many requests at once the sandbox answers 429; each may hold a ledger entry and a socket. */
const MAX_IN_FLIGHT = 2000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** A request with its body read. `path` has no query; `query` has no question mark. */
export type SandboxRequest = {
  method: string;
  path: string;
  query: string;
  headers: IncomingHttpHeaders;
  body: string;
};

/** A reply. With `withholdMs` nothing is sent and the socket closes after that time. */
export type SandboxReply = {
  status: number;
  headers?: Record<string, string>;
  body: string | AsyncIterable<string>;
  withholdMs?: number | undefined;
};

/** Answers requests; what it throws is a bug, is logged and becomes the reply of `unexpected`. */
export type Handle = (request: SandboxRequest) => Promise<SandboxReply>;

/** Replies to what never reaches the handler, in the words of the API. */
export type PlainReply = (status: 413 | 429 | 500 | 503, message: string) => SandboxReply;

/** A listening server. Until `serve` is called it answers 503, so that a port is taken before files are touched. */
export type SandboxServer = {
  port: number;
  serve(handle: Handle): void;
  /** Stops listening, lets requests under way end for `graceMs`, then closes what is left. */
  close(graceMs: number): Promise<void>;
};

type Running = {
  server: Server;
  handle: Handle | undefined;
  plainReply: PlainReply;
  inFlight: number;
  withheld: Set<Socket>;
};

/** Listens on `host:port` (0 takes a free port); rejects when the port is taken. */
export async function startHttpServer(
  host: string,
  port: number,
  plainReply: PlainReply,
): Promise<SandboxServer> {
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    noDelay: true,
  });
  const running: Running = { server, handle: undefined, plainReply, inFlight: 0, withheld: new Set() };
  server.on("request", (request, response) => void answer(running, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    serve: (handle) => {
      running.handle = handle;
    },
    close: (graceMs) => close(running, graceMs),
  };
}

async function answer(running: Running, request: IncomingMessage, response: ServerResponse): Promise<void> {
  running.inFlight++;
  try {
    const reply = await replyTo(running, request);
    if (reply.withholdMs !== undefined) await withhold(running, request, reply.withholdMs);
    else await write(response, reply);
  } catch (cause) {
    log("reply not sent", { url: request.url, error: String(cause) });
    request.socket.destroy();
  } finally {
    running.inFlight--;
  }
}

async function replyTo(running: Running, request: IncomingMessage): Promise<SandboxReply> {
  const body = await readBody(request);
  if (body === undefined) return running.plainReply(413, `A body may have ${MAX_BODY_BYTES} bytes.`);
  if (running.handle === undefined) return running.plainReply(503, "The sandbox is starting.");
  if (running.inFlight > MAX_IN_FLIGHT) return running.plainReply(429, "Too many requests at once.");
  const target = request.url ?? "/";
  const mark = target.indexOf("?");
  try {
    return await running.handle({
      method: request.method ?? "GET",
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? "" : target.slice(mark + 1),
      headers: request.headers,
      body,
    });
  } catch (cause) {
    log("request failed", { method: request.method, url: target, error: String(cause) });
    return running.plainReply(500, "The sandbox failed.");
  }
}

/** Resolves with undefined when the body is too long. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  if (request.method === "GET") return Promise.resolve("");
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    request.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on("end", () => resolve(sizeBytes > MAX_BODY_BYTES ? undefined : decode(chunks)));
    request.on("error", reject);
    request.on("close", () => reject(new Error("the caller went away")));
  });
}

function decode(chunks: Buffer[]): string {
  return chunks.length === 1 ? String(chunks[0]) : Buffer.concat(chunks).toString();
}

async function write(response: ServerResponse, { status, headers, body }: SandboxReply): Promise<void> {
  if (typeof body !== "string") {
    response.writeHead(status, { "content-type": "application/jsonl", ...headers });
    await pipeline(Readable.from(body), response);
    return;
  }
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** Destroys the socket, not the request: a request whose body was read is at its end and no longer holds it. */
function withhold({ withheld }: Running, { socket }: IncomingMessage, withholdMs: number): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  withheld.add(socket);
  const timer = setTimeout(() => socket.destroy(), withholdMs);
  return new Promise((resolve) => {
    socket.once("close", () => {
      clearTimeout(timer);
      withheld.delete(socket);
      resolve();
    });
  });
}

async function close({ server, withheld }: Running, graceMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of withheld) socket.destroy();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}
