import { Server } from "@grpc/grpc-js";
import type { RpcMethod } from "./method.ts";
import { guardWire } from "./wire-guard.ts";

/** How much a server takes before it refuses. grpc-js has practically no limits of its own. */
export interface ServerLimits {
  /** Calls at once on one connection. 1000: a gateway sends everything it has over one connection. */
  readonly maxConcurrentStreams: number;
  /** Bytes of all headers of one call. 16 KiB: a token of 4 KiB and room. */
  readonly maxMetadataBytes: number;
  /** How long a caller may take to send its one message. */
  readonly requestTimeoutMs: number;
  /** Megabytes that one connection may make the process buffer. */
  readonly maxSessionMemoryMb: number;
  /** After this long without a frame the peer is asked for a sign of life. */
  readonly keepaliveMs: number;
  /** How long the peer has to give it. */
  readonly keepaliveTimeoutMs: number;
  /** A connection without calls is closed after this long. */
  readonly maxConnectionIdleMs: number;
  /** A connection is told to go after this long, so that callers spread over new replicas. */
  readonly maxConnectionAgeMs: number;
  /** How long its calls may go on then. */
  readonly maxConnectionAgeGraceMs: number;
}

/** The limits where a service names no others. */
export const defaultLimits: ServerLimits = {
  maxConcurrentStreams: 1_000,
  maxMetadataBytes: 16 * 1024,
  requestTimeoutMs: 10_000,
  maxSessionMemoryMb: 64,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  maxConnectionIdleMs: 300_000,
  maxConnectionAgeMs: 1_800_000,
  maxConnectionAgeGraceMs: 30_000,
};

/** A grpc-js server within the limits; it receives messages up to the largest that one of its methods takes. */
export function createBoundedServer(methods: readonly RpcMethod[], limits: ServerLimits): Server {
  const server = new Server({
    "grpc.max_receive_message_length": Math.max(...methods.map((method) => method.maxRequestBytes)),
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc-node.max_session_memory": limits.maxSessionMemoryMb,
    "grpc.keepalive_time_ms": limits.keepaliveMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_idle_ms": limits.maxConnectionIdleMs,
    "grpc.max_connection_age_ms": limits.maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": limits.maxConnectionAgeGraceMs,
    "grpc.enable_channelz": 0,
    interceptors: [guardWire(limits.requestTimeoutMs)],
  });
  limitMetadata(server, limits.maxMetadataBytes);
  return server;
}

// grpc-js has no option for the size of headers, though Node's http2 has; a test proves that this one is enforced. It
// holds once the peer has acknowledged our settings; until then nghttp2's own limit of 64 KiB does.
function limitMetadata(server: Server, maxMetadataBytes: number): void {
  // biome-ignore lint/complexity/useLiteralKeys: the brackets are TypeScript's way to a private member
  const { settings } = server["commonServerOptions"];
  if (settings === undefined) throw new Error("grpc-js keeps its http2 settings somewhere else now");
  settings.maxHeaderListSize = maxMetadataBytes;
}
