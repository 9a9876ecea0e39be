// Lean HTTP to a provider: requests over kept-alive connections, each bounded in time and size.
import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Secret } from "#kit/config/config.ts";

const maxAnswerBytes = 256 * 1024;
const maxInFlight = 256;
const maxConnections = 64;

/** How a provider is reached. */
export interface ProviderAddress {
  /** `http:` or `https:`, with or without a path that precedes every request's. */
  readonly url: string;
  /** Sent as bearer token. */
  readonly key: Secret;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** One request takes at most this long; a call's shorter deadline wins. */
  readonly timeoutMs: number;
}

/** One request. */
export interface ProviderRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: { readonly type: string; readonly text: string };
  /** Idempotency-Key: what is sent with one repeats safely. */
  readonly key?: string;
  readonly timeoutMs: number;
}

/** An answer with its JSON parsed. */
export interface ProviderAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends requests over kept-alive connections. */
export interface ProviderHttp {
  /** @throws Error when there is no whole answer in time: what happened is unknown. */
  send(request: ProviderRequest): Promise<ProviderAnswer>;
  close(): void;
}

interface Connection {
  readonly host: string;
  readonly port: string;
  readonly basePath: string;
  readonly agent: Agent;
  readonly open: typeof httpRequest;
  readonly headers: Readonly<Record<string, string>>;
  inFlight: number;
}

/** Opens nothing yet: connections are made when needed. */
export function createProviderHttp(address: ProviderAddress): ProviderHttp {
  const { protocol, hostname, port, pathname } = new URL(address.url);
  const secure = protocol === "https:";
  const options = { keepAlive: true, maxSockets: maxConnections, scheduling: "lifo" } as const;
  const connection: Connection = {
    // Node wants IPv6 addresses without the brackets a URL has.
    host: hostname.replace(/^\[|\]$/g, ""),
    port,
    basePath: pathname.replace(/\/$/, ""),
    agent: secure ? new HttpsAgent(options) : new HttpAgent(options),
    open: secure ? httpsRequest : httpRequest,
    headers: { ...address.headers, authorization: `Bearer ${address.key.reveal()}` },
    inFlight: 0,
  };
  return { send: (request) => send(connection, request), close: () => connection.agent.destroy() };
}

async function send(connection: Connection, request: ProviderRequest): Promise<ProviderAnswer> {
  if (connection.inFlight >= maxInFlight) throw new Error("too many requests to the provider at once");
  connection.inFlight += 1;
  const deadlineMs = performance.now() + request.timeoutMs;
  try {
    return await exchange(connection, request, request.timeoutMs);
  } catch (error) {
    // The server closed an idle connection just as it was taken up again. Every request repeats safely by its key.
    if (!(error instanceof StaleConnection)) throw error;
    return await exchange(connection, request, deadlineMs - performance.now());
  } finally {
    connection.inFlight -= 1;
  }
}

class StaleConnection extends Error {}

function exchange(
  connection: Connection,
  request: ProviderRequest,
  timeoutMs: number,
): Promise<ProviderAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = open(connection, request);
    const timer = setTimeout(() => outgoing.destroy(new Error("no answer in time")), Math.max(1, timeoutMs));
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(isStale(outgoing, error) ? new StaleConnection(error.message, { cause: error }) : error);
    };
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      readJson(incoming).then((parsed) => {
        clearTimeout(timer);
        resolve({ status: incoming.statusCode ?? 0, body: parsed });
      }, fail);
    });
    outgoing.end(request.body?.text);
  });
}

function open(connection: Connection, { method, path, body, key }: ProviderRequest) {
  const { host, port, basePath, agent, open } = connection;
  const headers: Record<string, string | number> = { ...connection.headers };
  if (body) {
    headers["content-type"] = body.type;
    headers["content-length"] = Buffer.byteLength(body.text);
  }
  if (key !== undefined) headers["idempotency-key"] = key;
  return open({ host, port, path: basePath + path, method, agent, headers });
}

const isStale = (outgoing: ClientRequest, error: NodeJS.ErrnoException) =>
  outgoing.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");

function readJson(incoming: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > maxAnswerBytes) incoming.destroy(new Error("the provider's answer is too long"));
    });
    incoming.on("error", reject);
    incoming.on("end", () => {
      try {
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
  });
}
