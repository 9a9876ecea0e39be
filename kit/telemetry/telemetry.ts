// What a process tells about itself: JSON lines, Prometheus metrics and health on a side port, and OpenTelemetry spans.
// Known secret keys are never written. Recording is cheap enough for every call: label lookups are done once, a level
// that is off is one comparison, and tracing that is off costs a check for undefined and loads no OpenTelemetry code.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { cacheByOne, cacheByTwo } from "./label-cache.ts";
import { type CounterHandle, createCounter, createDurations, type DurationHandle } from "./plain-metrics.ts";
import { answerSidePort } from "./side-port.ts";
import { parseTraceparent } from "./traceparent.ts";

export type { CounterHandle, DurationHandle } from "./plain-metrics.ts";

/** Writes JSON lines; ask `isLevelEnabled("debug")` before building what only a debug line needs. */
export type Logger = pino.Logger;

/** Keys that hold secrets, at the top of a line's fields or one level below. */
const secretKeys = [
  "authorization",
  "cookie",
  "password",
  "secret",
  "client_secret",
  "token",
  "access_token",
];

/** What a logger needs to know. */
export interface LoggerOptions {
  /** Stands in every line. */
  readonly service: string;
  readonly level: pino.LevelWithSilent;
  /** Default: standard output, written synchronously, so that a dying process has said why. */
  readonly destination?: pino.DestinationStream;
}

/** The logger of a process; `err` is the key of errors, whose causes are written too. */
export function createLogger({ service, level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretKeys.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** A number that goes up and down. */
export interface GaugeHandle {
  set(value: number): void;
  inc(by?: number): void;
  dec(by?: number): void;
}

/**
 * The metrics of a process. Those with labels answer the same handle for the same labels; label values come from
 * contracts and code, never from callers, or the handles would grow without bound.
 */
export interface Metrics {
  readonly registry: Registry;
  /** rpc_server_calls_total; `code` is the name of a gRPC code: `NOT_FOUND`. */
  rpcServerCalls(method: string, code: string): CounterHandle;
  /** rpc_server_duration_seconds. */
  rpcServerDuration(method: string): DurationHandle;
  /** rpc_client_calls_total, one per attempt. */
  rpcClientCalls(method: string, code: string): CounterHandle;
  /** http_server_requests_total; `route` is the template, not the path. */
  httpServerRequests(route: string, status: string): CounterHandle;
  /** http_server_duration_seconds. */
  httpServerDuration(route: string): DurationHandle;
  /** outbox_pending_events. */
  readonly outboxPending: GaugeHandle;
  /** outbox_oldest_age_seconds. */
  readonly outboxOldestAgeSeconds: GaugeHandle;
  /** outbox_horizon_age_seconds. */
  readonly outboxHorizonAgeSeconds: GaugeHandle;
  /** consumer_pending_messages. */
  consumerPending(consumer: string): GaugeHandle;
  /** dead_letters_waiting. */
  deadLettersWaiting(consumer: string): GaugeHandle;
  /** parked_events. */
  parkedEvents(consumer: string): GaugeHandle;
  /** sagas_in_flight. */
  sagasInFlight(saga: string): GaugeHandle;
  /** sagas_oldest_step_age_seconds: since when the slowest saga in flight has made no step. */
  sagasOldestStepAgeSeconds(saga: string): GaugeHandle;
  /** reconciliation_findings_open. */
  reconciliationFindingsOpen(reconciliation: string): GaugeHandle;
  /** reconciliation_records_compared, by the last run. */
  reconciliationRecordsCompared(reconciliation: string): GaugeHandle;
  /** reconciliation_finished_at_seconds: when the last run ended, in seconds since 1970. */
  reconciliationFinishedAt(reconciliation: string): GaugeHandle;
  /** sagas_parked: more than 0 pages somebody. */
  sagasParked(saga: string): GaugeHandle;
  /** sagas_unserved: due, and of a version that no replica seems to know. */
  sagasUnserved(saga: string): GaugeHandle;
}

// From well below a cached read to the longest deadline of a unary method.
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The metrics of this process, with those of Node and the process itself, in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    cacheByTwo(createCounter(registry, { name, help }, labelNames));
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers });
  const duration = (name: string, help: string, labelName: string) =>
    cacheByOne(createDurations(registry, { name, help }, labelName, durationBuckets));

  const served = counter("rpc_server_calls_total", "Calls answered", "method", "code");
  const servedSeconds = duration("rpc_server_duration_seconds", "Time from request to answer", "method");
  const sent = counter("rpc_client_calls_total", "Attempts of calls to other services", "method", "code");
  const requests = counter("http_server_requests_total", "HTTP requests answered", "route", "status");
  const requestSeconds = duration("http_server_duration_seconds", "Time from request to answer", "route");
  const consumers = gauge("consumer_pending_messages", "Events a consumer has yet to apply", "consumer");
  const letters = gauge("dead_letters_waiting", "Events set aside that wait for an operator", "consumer");
  const early = gauge("parked_events", "Events that wait for an earlier version", "consumer");
  const oldestSteps = gauge("sagas_oldest_step_age_seconds", "Age of the oldest step under way", "saga");
  const findings = gauge("reconciliation_findings_open", "Records that disagree", "reconciliation");
  const compared = gauge(
    "reconciliation_records_compared",
    "Records the last run compared",
    "reconciliation",
  );
  const finished = gauge("reconciliation_finished_at_seconds", "When the last run ended", "reconciliation");
  const sagas = gauge("sagas_in_flight", "Sagas under way", "saga");
  const parked = gauge("sagas_parked", "Sagas that wait for an operator", "saga");
  const unserved = gauge("sagas_unserved", "Sagas due whose version no replica seems to know", "saga");
  return {
    registry,
    rpcServerCalls: served,
    rpcServerDuration: servedSeconds,
    rpcClientCalls: sent,
    httpServerRequests: requests,
    httpServerDuration: requestSeconds,
    outboxPending: gauge("outbox_pending_events", "Events not yet in the stream"),
    outboxOldestAgeSeconds: gauge(
      "outbox_oldest_age_seconds",
      "Age of the oldest event not yet in the stream",
    ),
    outboxHorizonAgeSeconds: gauge(
      "outbox_horizon_age_seconds",
      "For how long one transaction, in whichever database of the server, has kept newer events waiting",
    ),
    consumerPending: cacheByOne((consumer) => consumers.labels(consumer)),
    deadLettersWaiting: cacheByOne((consumer) => letters.labels(consumer)),
    parkedEvents: cacheByOne((consumer) => early.labels(consumer)),
    sagasInFlight: cacheByOne((saga) => sagas.labels(saga)),
    sagasOldestStepAgeSeconds: cacheByOne((saga) => oldestSteps.labels(saga)),
    reconciliationFindingsOpen: cacheByOne((name) => findings.labels(name)),
    reconciliationRecordsCompared: cacheByOne((name) => compared.labels(name)),
    reconciliationFinishedAt: cacheByOne((name) => finished.labels(name)),
    sagasParked: cacheByOne((saga) => parked.labels(saga)),
    sagasUnserved: cacheByOne((saga) => unserved.labels(saga)),
  };
}

/** Where and what the side port answers. */
export interface SidePortOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly registry: Registry;
  /** Asked at every `/health/ready`; answers from what is known, without waiting. */
  readonly isReady: () => boolean;
}

/** A side port that listens. */
export interface SidePort {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves GET `/metrics` (Prometheus text), `/health/live` (200 while the process turns) and `/health/ready` (200 or
 * 503). Rejects when the port is taken.
 */
export async function startSidePort({ host, port, registry, isReady }: SidePortOptions): Promise<SidePort> {
  const limits = { headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8_192 };
  const server = createServer(limits, (request, response) =>
    answerSidePort(request, response, registry, isReady),
  );
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ host, port }, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Which side of which kind of exchange a span shows. */
export type SpanKind = "server" | "client" | "producer" | "consumer" | "internal";

/** One timed piece of a trace. */
export interface Span {
  /** W3C trace context to hand on, with this span as the parent. */
  readonly traceparent: string;
  setAttribute(name: string, value: string | number | boolean): void;
  /** Ends the span; with an error, as a failed one. */
  end(error?: unknown): void;
}

type StartSpan = (name: string, kind: SpanKind, parent: string | undefined) => Span;

// OpenTelemetry is one per process by its own design, and every call asks for it.
let recording: StartSpan | undefined;

/** Where the spans go. */
export interface TracingOptions {
  readonly service: string;
  /** Base URL of an OTLP collector that speaks gRPC; undefined leaves tracing off. */
  readonly endpoint: string | undefined;
}

/** Turns tracing on when there is somewhere to send spans; `shutdown` sends what is left, for at most 5 s. */
export async function startTracing({
  service,
  endpoint,
}: TracingOptions): Promise<{ shutdown(): Promise<void> }> {
  if (endpoint === undefined) return { shutdown: () => Promise.resolve() };
  const { startExport } = await import("./otlp-export.ts");
  const exporting = startExport(service, endpoint);
  recording = exporting.startSpan;
  return {
    shutdown() {
      recording = undefined;
      return exporting.shutdown();
    },
  };
}

/** Starts a span below the parent's, or a new trace without one; undefined while tracing is off. */
export function startSpan(name: string, kind: SpanKind, parent?: string): Span | undefined {
  return recording?.(name, kind, parent);
}

// Thirty-two digits of trace id and sixteen of span id; the system is asked for many at once, since asking costs more than the bytes do.
const idDigits = 48;
const idsDrawn = 256;
let randomDigits = "";
let digitsAt = 0;

/** A W3C trace context for work that begins here while tracing is off, so that logs of all services still join up. */
export function newTraceparent(): string {
  if (digitsAt === randomDigits.length) {
    randomDigits = randomBytes((idsDrawn * idDigits) / 2).toString("hex");
    digitsAt = 0;
  }
  const spanAt = digitsAt + 32;
  const traceId = randomDigits.slice(digitsAt, spanAt);
  digitsAt += idDigits;
  return `00-${traceId}-${randomDigits.slice(spanAt, digitsAt)}-00`;
}

/** The ids of a W3C trace context as fields of a log line; undefined when there is none or it is malformed. */
export function traceFields(
  traceparent: string | undefined,
): { traceId: string; spanId: string } | undefined {
  const context = parseTraceparent(traceparent);
  return context && { traceId: context.traceId, spanId: context.spanId };
}
