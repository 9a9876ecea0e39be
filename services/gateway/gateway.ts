import type { DescService } from "@bufbuild/protobuf";
import { type Backend, createEdge, type Edge, type LocalAnswers } from "#edge/edge.ts";
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
  startTracing,
} from "#kit/telemetry/telemetry.ts";
import { reportRequest } from "./access-log.ts";
import { admit, admitUnmatched } from "./admission.ts";
import { type GatewayConfig, readConfig } from "./config.ts";
import { createEntrance } from "./entrance.ts";
import { edgePolicyFor, operatorServices, ownServices, publicServices, servedServices } from "./policy.ts";
import { refineProblem, toEdgeError } from "./problems.ts";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";
import { createDocuments } from "./reference-page.ts";
import { createClients, gatewayRpc } from "./rpc.ts";
import { createTickets } from "./tickets.ts";

/** Starts the gateway: edge plus policy. It is ready when its port is open; a backend that is away is a 503. */
export async function startGateway(env: Environment): Promise<RunningService> {
  const config = readConfig(env);
  const log = createLogger({ service: "gateway", level: config.logLevel });
  const metrics = createMetrics();
  const tracing = await startTracing({ service: "gateway", endpoint: config.otlpEndpoint });
  const rateLimit = createRateLimit({ redisUrl: config.redisUrl, rates: config.rates, log });
  const edge = createGatewayEdge(config, { rateLimit, log, metrics });
  if (!config.ticketKey && config.environment === "production")
    log.warn("TICKET_KEY is not set: a watch ticket is good only at the gateway that made it");
  let ready = false;
  const isReady = () => ready;
  const side = await startSidePort({
    host: config.host,
    port: config.metricsPort,
    registry: metrics.registry,
    isReady,
  });
  const { port } = await edge.listen({
    host: config.host,
    port: config.port,
    ...(config.tls && { tls: config.tls }),
  });
  ready = true;
  log.info({ port, metricsPort: side.port }, "ready");
  const end = async () => {
    ready = false;
    await edge.drain();
    await edge.close();
    rateLimit.close();
    await side.close();
    await tracing.shutdown();
  };
  let stopped: Promise<void> | undefined;
  return { port, metricsPort: side.port, stop: () => (stopped ??= end()) };
}

interface GatewayResources {
  readonly rateLimit: RateLimit;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The edge with the shop's policy; also what tests enumerate the routes of. */
export function createGatewayEdge(
  config: GatewayConfig,
  { rateLimit, log, metrics }: GatewayResources,
): Edge {
  const verifier = createTokenVerifier({ issuer: config.tokenIssuer });
  const tickets = createTickets({ key: config.ticketKey, lifeMs: config.ticketLifeMs });
  const clients = createClients(config, metrics);
  const admission = { verifier, rateLimit, rates: config.rates, tickets };
  const own = { local: gatewayRpc({ clients, tickets, verifier }) };
  const edge: Edge = createEdge({
    registry: servedServices.map((service) => service.file),
    services: (service) => servedServices.includes(service),
    backendFor: (service) => backendFor(service, config, own),
    policyFor: edgePolicyFor,
    onRequest: createEntrance(config),
    documentAt: createDocuments(() => edge.routes),
    admit: (call) => admit(admission, call),
    admitUnmatched: (request) => admitUnmatched(admission, request),
    onSettled: (settled) => reportRequest(settled, log, metrics),
    problem: refineProblem,
    unknownMembers: "reject",
    responseHeaders: ["idempotent-replayed"],
    webSocketOrigins: config.websocketOrigins,
    cors: {
      origins: config.corsOrigins,
      requestHeaders: ["idempotency-key", "x-correlation-id", "traceparent"],
      exposedHeaders: ["x-correlation-id", "idempotent-replayed", "retry-after", ...rateHeaders],
    },
    limits: { drainLingerMs: config.drainLingerMs, drainTimeoutMs: config.drainTimeoutMs },
  });
  const close = async () => {
    await edge.close();
    for (const client of Object.values(clients)) client.close();
  };
  return { ...edge, close };
}

const rateHeaders = [
  "ratelimit",
  "ratelimit-policy",
  "ratelimit-limit",
  "ratelimit-remaining",
  "ratelimit-reset",
];

function backendFor(service: DescService, { backends }: GatewayConfig, own: LocalAnswers): Backend {
  if (ownServices.has(service)) return own;
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
