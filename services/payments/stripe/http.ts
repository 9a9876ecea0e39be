import { type Agent, type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Secret } from "#kit/config/config.ts";

const maxAnswerBytes = 256 * 1024;
const maxInFlight = 256;
const maxConnections = 64;

/** How the processor is reached. */
export interface StripeAddress {
  readonly url: string;
  readonly key: Secret;
  /** One request takes at most this long; a call's shorter deadline wins. */
  readonly timeoutMs: number;
}

/** One request; `form` fields are sent in their order. */
export interface StripeRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly form?: readonly (readonly [string, string])[];
  readonly key?: string;
  readonly timeoutMs: number;
}

/** An answer with its JSON parsed. */
export interface StripeAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends requests over kept-alive connections. */
export interface StripeHttp {
  /** @throws Error when there is no whole answer in time: what happened is unknown. */
  send(request: StripeRequest): Promise<StripeAnswer>;
  close(): void;
}

interface Connection {
  readonly base: URL;
  readonly agent: Agent;
  readonly open: typeof httpRequest;
  readonly authorization: string;
  inFlight: number;
}

/** Opens nothing yet: connections are made when needed. */
export function createStripeHttp({ url, key }: StripeAddress): StripeHttp {
  const base = new URL(url);
  const secure = base.protocol === "https:";
  const options = { keepAlive: true, maxSockets: maxConnections, scheduling: "lifo" } as const;
  const connection: Connection = {
    base,
    agent: secure ? new HttpsAgent(options) : new HttpAgent(options),
    open: secure ? httpsRequest : httpRequest,
    authorization: `Bearer ${key.reveal()}`,
    inFlight: 0,
  };
  return { send: (request) => send(connection, request), close: () => connection.agent.destroy() };
}

async function send(connection: Connection, request: StripeRequest): Promise<StripeAnswer> {
  if (connection.inFlight >= maxInFlight) throw new Error("too many requests to the card processor at once");
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

function exchange(connection: Connection, request: StripeRequest, timeoutMs: number): Promise<StripeAnswer> {
  return new Promise((resolve, reject) => {
    const body = request.form && encodeForm(request.form);
    const outgoing = open(connection, request, body);
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
    outgoing.end(body);
  });
}

function open({ base, agent, open, authorization }: Connection, request: StripeRequest, body: string | undefined) {
  const headers: Record<string, string | number> = { authorization };
  if (body !== undefined) {
    headers["content-type"] = "application/x-www-form-urlencoded";
    headers["content-length"] = Buffer.byteLength(body);
  }
  if (request.key !== undefined) headers["idempotency-key"] = request.key;
  const { hostname: host, port, pathname } = base;
  const path = pathname === "/" ? request.path : pathname + request.path;
  return open({ host, port, path, method: request.method, agent, headers });
}

const isStale = (outgoing: ClientRequest, error: NodeJS.ErrnoException) =>
  outgoing.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");

function encodeForm(form: readonly (readonly [string, string])[]): string {
  return form.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
}

function readJson(incoming: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > maxAnswerBytes) incoming.destroy(new Error("the card processor's answer is too long"));
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
