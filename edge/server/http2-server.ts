import http2, {
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { EdgeLimits } from "../options.ts";
import { discardRest } from "./discard.ts";
import type { Handlers } from "./handlers.ts";
import type { StalledWrites } from "./stalled-writes.ts";

/** A server of HTTP/2 connections that are handed to it; its open sessions are kept in `sessions`. */
export function createHttp2(
  handlers: Handlers,
  limits: EdgeLimits,
  sessions: Set<ServerHttp2Session>,
  stalled: StalledWrites,
): http2.Http2Server {
  const server = http2.createServer({
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      enablePush: false,
    },
    maxSessionInvalidFrames: 100,
    streamResetBurst: 200,
    streamResetRate: 33,
    unknownProtocolTimeout: limits.headersTimeoutMs,
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
    keepInBounds(session, limits);
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream: ServerHttp2Stream, headers, _flags, rawHeaders) => {
    stream.on("error", () => undefined);
    if (stream.destroyed) return;
    stalled.watch(stream);
    // A request that has its answer is not read to its end by anyone.
    stream.once("finish", () => discardRest(stream));
    if (passes(headers)) {
      handlers.onGrpc(stream, headers);
      return;
    }
    // Node does it for HTTP/1.1.
    if (/^100-continue$/i.test(headers.expect ?? "")) stream.additionalHeaders({ ":status": 100 });
    const request = new Http2ServerRequest(stream, headers, {}, rawHeaders as never);
    handlers.onRequest(request, new Http2ServerResponse(stream));
  });
  return server;
}

const { NGHTTP2_ENHANCE_YOUR_CALM } = http2.constants;

/**
 * Node leaves to us: a connection that asks for nothing at first, or for long, is sent away and, where it lingers, closed. One
 * that begins more streams at a time than there may be has reset some of them before they could be answered, and is ended.
 */
function keepInBounds(
  session: ServerHttp2Session,
  { headersTimeoutMs, idleTimeoutMs, maxConcurrentStreams }: EdgeLimits,
): void {
  let open = 0;
  let begun = 0;
  const sendAway = (): void => {
    session.close();
    timer = setTimeout(() => session.destroy(), headersTimeoutMs).unref();
  };
  let timer = setTimeout(sendAway, headersTimeoutMs).unref();
  session.on("stream", (stream: ServerHttp2Stream) => {
    open++;
    clearTimeout(timer);
    if (begun++ === 0) setImmediate(() => (begun = 0));
    else if (begun > maxConcurrentStreams) session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM);
    stream.once("close", () => {
      if (--open === 0 && !session.closed) timer = setTimeout(sendAway, idleTimeoutMs).unref();
    });
  });
  session.once("close", () => clearTimeout(timer));
}

/** gRPC whose bytes can pass as they are: protobuf, not compressed. */
function passes(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  if (type === undefined || !/^application\/grpc(?:$|\+proto|;)/.test(type)) return false;
  return headers[":method"] === "POST" && /^(?:identity)?$/.test(String(headers["grpc-encoding"] ?? ""));
}
