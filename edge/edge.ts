import {
  createRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
  type Registry,
} from "@bufbuild/protobuf";
import { createDispatcher } from "./dispatch.ts";
import { EdgeError, type EdgeErrorInit } from "./edge-error.ts";
import { defaultLimits } from "./limits.ts";
import { createHeaderFilter } from "./metadata.ts";
import type {
  Backend,
  BackendAddress,
  EdgeLimits,
  EdgeOptions,
  ListenAddress,
  ResolvedPolicy,
  Route,
} from "./options.ts";
import { compileRouteTable, type Procedure } from "./routing/route-table.ts";
import { createTypeRegistry } from "./routing/type-registry.ts";
import type { Runtime } from "./runtime.ts";
import { type Listener, startListener } from "./server/listener.ts";
import { resolveBackend } from "./upstream/backend-choice.ts";
import { Upstream } from "./upstream/upstream.ts";

export type { EdgeError, EdgeErrorInit, Violation } from "./edge-error.ts";
export type {
  Backend,
  BackendAddress,
  BackendChoice,
  BackendTls,
  CorsOptions,
  Document,
  EdgeCall,
  EdgeLimits,
  EdgeOptions,
  EdgeRequest,
  ListenAddress,
  ListenerTls,
  LocalAnswers,
  LocalCall,
  LocalHandler,
  MethodPolicy,
  Problem,
  Protocol,
  ResolvedPolicy,
  Route,
  Settled,
} from "./options.ts";

// What analytics and the gateways before us add to any link (Q10).
const defaultIgnored = ["utm_*", "key", "api_key", "apikey", "apiKey"];

/** A compiled edge: REST, Connect, gRPC-Web and gRPC in front of gRPC backends, on one port. */
export interface Edge {
  /** Every REST binding served, in the order of the descriptors. */
  readonly routes: readonly Route[];
  /** Opens the port; throws an Error when it is taken or a TLS file cannot be read. */
  listen(address: ListenAddress): Promise<{ readonly port: number }>;
  /** After `limits.drainLingerMs` takes no more connections, and waits for requests in flight, at most `limits.drainTimeoutMs`. */
  drain(): Promise<void>;
  /** Ends every connection, to callers and to backends. */
  close(): Promise<void>;
}

/** Makes the error with which a hook refuses a request. */
export function createEdgeError(init: EdgeErrorInit): EdgeError {
  return new EdgeError(init);
}

/** Compiles an edge from descriptors; throws an Error that lists every bad `google.api.http` rule by file, RPC and reason. */
export function createEdge(options: EdgeOptions): Edge {
  const limits: EdgeLimits = { ...defaultLimits, ...options.limits };
  const registry = asRegistry(options.registry);
  const types = createTypeRegistry(registry);
  const upstreams = new Map<string, Upstream>();
  const upstreamAt = (backend: BackendAddress) => upstreamFor(backend, limits, upstreams);
  const procedures = servicesOf(registry, options).flatMap((service) =>
    proceduresOf(service, options, limits, upstreamAt),
  );
  const table = compileRouteTable(procedures, types, options.ignoredQueryParameters ?? defaultIgnored);
  const runtime: Runtime = {
    options,
    limits,
    table,
    reading: {
      registry: types,
      unknownMembers: options.unknownMembers ?? "drop",
      maxDepth: limits.maxJsonDepth,
    },
    headerFilter: createHeaderFilter(options.deniedHeaders ?? []),
    state: { draining: false },
  };
  return assemble(runtime, upstreams);
}

function assemble(runtime: Runtime, upstreams: ReadonlyMap<string, Upstream>): Edge {
  const handlers = createDispatcher(runtime);
  const listeners: Listener[] = [];
  return {
    routes: runtime.table.routes,
    async listen(address) {
      const listener = await startListener(address, handlers, runtime.limits);
      listeners.push(listener);
      return { port: listener.port };
    },
    async drain() {
      runtime.state.draining = true;
      await Promise.all(listeners.map((listener) => listener.drain(runtime.limits)));
    },
    async close() {
      await Promise.all(listeners.map((listener) => listener.close()));
      for (const upstream of upstreams.values()) upstream.close();
    },
  };
}

function asRegistry(given: Registry | readonly DescFile[]): Registry {
  return "kind" in given ? given : createRegistry(...given);
}

function servicesOf(registry: Registry, options: EdgeOptions): DescService[] {
  const services: DescService[] = [];
  for (const type of registry) {
    if (type.kind === "service" && (options.services?.(type) ?? true)) services.push(type);
  }
  return services;
}

function upstreamFor(
  backend: BackendAddress,
  limits: EdgeLimits,
  upstreams: Map<string, Upstream>,
): Upstream {
  let upstream = upstreams.get(backend.address);
  if (upstream === undefined) {
    upstream = new Upstream({
      backend,
      maxInFlight: limits.maxInFlightPerBackend,
      maxSessions: limits.maxSessionsPerBackend,
    });
    upstreams.set(backend.address, upstream);
  }
  return upstream;
}

function proceduresOf(
  service: DescService,
  options: EdgeOptions,
  limits: EdgeLimits,
  upstreamAt: (backend: BackendAddress) => Upstream,
): Procedure[] {
  const backend: Backend = options.backendFor(service);
  return service.methods
    .map((method) => ({ method, policy: resolvePolicy(method, options, limits) }))
    .filter(({ policy }) => policy.exposed)
    .map(({ method, policy }) => ({
      method,
      service,
      path: `/${service.typeName}/${method.name}`,
      policy,
      destination: resolveBackend(method, backend, upstreamAt),
    }));
}

function resolvePolicy(method: DescMethod, options: EdgeOptions, limits: EdgeLimits): ResolvedPolicy {
  return {
    maxTimeoutMs: limits.maxTimeoutMs,
    maxRequestBytes: limits.maxRequestBytes,
    httpStatus: 200,
    retryable: method.idempotency !== 0,
    emitDefaults: true,
    ignoredQueryParameters: [],
    exposed: true,
    ...options.policyFor?.(method),
  };
}
