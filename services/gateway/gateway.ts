import type { DescService } from "@bufbuild/protobuf";
import { type Backend, createEdge, type Edge, type Settled } from "#edge/edge.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { createTokenVerifier } from "#kit/auth/auth.ts";
import type { Environment } from "#kit/config/config.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { RunningService } from "#kit/service/service.ts";
import {
  createLogger,
  createMetrics,
  type Logger,
  type Metrics,
  startSidePort,
} from "#kit/telemetry/telemetry.ts";
import { admit, nameRequest } from "./admission.ts";
import { type GatewayConfig, readConfig } from "./config.ts";
import { edgePolicyFor, operatorServices, publicServices } from "./policy.ts";
import { refineProblem, toEdgeError } from "./problems.ts";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";

/** Starts the gateway: edge plus policy. It is ready when its port is open; a backend that is away is a 503. */
export async function startGateway(env: Environment): Promise<RunningService> {
  const config = readConfig(env);
  const log = createLogger({ service: "gateway", level: config.logLevel });
  const metrics = createMetrics();
  const rateLimit = createRateLimit({
    redisUrl: config.redisUrl,
    perSecond: config.rateLimitPerSecond,
    burst: config.rateLimitBurst,
    log,
  });
  const edge = createGatewayEdge(config, { rateLimit, log, metrics });
  let ready = false;
  const isReady = () => ready;
  const side = await startSidePort({
    host: config.host,
    port: config.metricsPort,
    registry: metrics.registry,
    isReady,
  });
  const { port } = await edge.listen({ host: config.host, port: config.port });
  ready = true;
  log.info({ port, metricsPort: side.port }, "ready");
  const end = async () => {
    ready = false;
    await edge.drain();
    await edge.close();
    rateLimit.close();
    await side.close();
  };
  let stopped: Promise<void> | undefined;
  return { port, metricsPort: side.port, stop: () => (stopped ??= end()) };
}

interface GatewayParts {
  readonly rateLimit: RateLimit;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The edge with the shop's policy; also what tests enumerate the routes of. */
export function createGatewayEdge(config: GatewayConfig, { rateLimit, log, metrics }: GatewayParts): Edge {
  const admission = { verifier: createTokenVerifier({ issuer: config.tokenIssuer }), rateLimit };
  return createEdge({
    registry: [...publicServices.keys(), ...operatorServices].map((service) => service.file),
    services: (service) => publicServices.has(service) || operatorServices.has(service),
    backendFor: (service) => backendFor(service, config),
    policyFor: edgePolicyFor,
    onRequest: nameRequest,
    admit: (call) => admit(admission, call),
    onSettled: (settled) => report(settled, log, metrics),
    problem: refineProblem,
    unknownMembers: "reject",
    responseHeaders: ["idempotent-replayed"],
    cors: {
      origins: config.corsOrigins,
      requestHeaders: ["idempotency-key", "x-correlation-id"],
      exposedHeaders: ["x-correlation-id", "idempotent-replayed", "retry-after"],
    },
    limits: { drainLingerMs: config.drainLingerMs, drainTimeoutMs: config.drainTimeoutMs },
  });
}

function backendFor(service: DescService, { backends }: GatewayConfig): Backend {
  if (operatorServices.has(service))
    return { byField: "service", addresses: backends, unknown: serviceUnknown };
  return { address: backends[publicServices.get(service) ?? "orders"] };
}

const serviceUnknown = (name: string) =>
  toEdgeError(
    serviceError(ErrorReasonSchema, ErrorReason.SERVICE_UNKNOWN, "There is no service of this name.", {
      metadata: { service: name },
    }),
  );

function report(
  { request, method, route, httpStatus, code, reason, durationMs, error }: Settled,
  log: Logger,
  metrics: Metrics,
) {
  const name = route
    ? `${route.httpMethod} ${route.template}`
    : method
      ? `${method.parent.name}/${method.name}`
      : "none";
  metrics.httpServerRequests(name, String(httpStatus)).inc();
  metrics.httpServerDuration(name).observe(durationMs / 1_000);
  const level = httpStatus >= 500 ? "warn" : "debug";
  if (!log.isLevelEnabled(level)) return;
  const { protocol, httpMethod, context } = request;
  const fields = {
    protocol,
    httpMethod,
    route: name,
    httpStatus,
    code,
    reason,
    durationMs,
    correlationId: context,
  };
  log[level](error?.cause === undefined ? fields : { ...fields, err: error.cause }, "request");
}
