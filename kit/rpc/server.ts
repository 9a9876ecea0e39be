import { type Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { draining } from "./abandonment.ts";
import { callHandler } from "./handler.ts";
import { addHealth } from "./health.ts";
import { type Interceptor, intercept } from "./interceptor.ts";
import { deadline } from "./interceptors/deadline.ts";
import { decoding } from "./interceptors/decoding.ts";
import { errors } from "./interceptors/errors.ts";
import { idempotencyKey } from "./interceptors/idempotency-key.ts";
import { identity } from "./interceptors/identity.ts";
import { logs } from "./interceptors/logs.ts";
import { metrics } from "./interceptors/metrics.ts";
import { traces } from "./interceptors/traces.ts";
import { validation } from "./interceptors/validation.ts";
import { createBoundedServer, defaultLimits, type ServerLimits } from "./limits.ts";
import { type RpcMethod, readMethods } from "./method.ts";
import { addReflection } from "./reflection.ts";
import type { RpcService, Verify } from "./rpc.ts";
import { serveMethod } from "./serve.ts";
import type { ServerCall } from "./server-call.ts";

/** What a server needs. */
export interface RpcServerOptions {
  /** The address to bind: `127.0.0.1`, `0.0.0.0`. */
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly services: readonly RpcService[];
  /** Whom a bearer token names: `createTokenVerifier(…).verify` of kit/auth. */
  readonly verify: Verify;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Whether the server tells its contracts to whoever asks; everywhere but in production. */
  readonly reflection: boolean;
  /** Where they differ from {@link defaultLimits}. */
  readonly limits?: Partial<ServerLimits>;
}

/** A gRPC server over clear-text HTTP/2; encryption is the mesh's. */
export interface RpcServer {
  /** Binds; resolves with the port. Throws when the port is taken. */
  start(): Promise<number>;
  /** What health checks answer about a service; `""` is the whole process. Nothing is served until told. */
  setServing(service: string, serving: boolean): void;
  /**
   * Stops: reports not serving, refuses new connections, ends streams with UNAVAILABLE, lets unary calls finish for
   * `timeoutMs`, then cuts what is left.
   */
  drain(timeoutMs: number): Promise<void>;
}

/** Builds a server; throws when a method has no policy or no handler, so that such a service never starts. */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  const served = options.services.flatMap(withHandlers);
  const limits = { ...defaultLimits, ...options.limits };
  const server = createBoundedServer(
    served.map(({ method }) => method),
    limits,
  );
  const health = addHealth(
    server,
    options.services.map(({ descriptor }) => descriptor.typeName),
  );
  if (options.reflection)
    addReflection(
      server,
      options.services.map(({ descriptor }) => descriptor),
    );
  const interceptors = interceptorsFor(options);
  const streams = new Set<ServerCall>();
  for (const { method, handler } of served)
    serveMethod(server, method, intercept(method, interceptors, callHandler(method, handler)), streams);
  return {
    start: () => bind(server, `${options.host}:${options.port}`),
    setServing: health.setServing,
    drain(timeoutMs) {
      health.setServing("", false);
      for (const call of streams) call.abandon(draining());
      return shutDown(server, timeoutMs);
    },
  };
}

// Outermost first. Whoever reports on calls stands outside of `errors`, and finds in the call how it ended.
function interceptorsFor({ verify, log, metrics: recorded }: RpcServerOptions): readonly Interceptor[] {
  return [
    logs(log),
    metrics(recorded),
    traces,
    errors,
    deadline,
    identity(verify),
    idempotencyKey,
    decoding,
    validation,
  ];
}

function withHandlers({ descriptor, handlers }: RpcService) {
  return readMethods(descriptor).map((method: RpcMethod) => {
    const handler = handlers[method.descriptor.localName];
    if (handler === undefined) throw new Error(`${method.name} has no handler`);
    return { method, handler };
  });
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

function shutDown(server: Server, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, timeoutMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
