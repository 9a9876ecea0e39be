import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { ServiceError } from "#kit/errors/errors.ts";
import { delay } from "#kit/time/time.ts";
import { parseTraceparent } from "./traceparent.ts";

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;

// A process that stops must not wait for a collector that is away.
const shutdownTimeoutMs = 5_000;

/**
 * Starts the export of spans, and of nothing else: metrics are scraped and logs are written to standard output. Loaded
 * only where there is a collector, since it costs tens of megabytes.
 */
export function startExport(service: string, endpoint: string) {
  const sdk = new NodeSDK({
    serviceName: service,
    traceExporter: new OTLPTraceExporter({ url: endpoint }),
    autoDetectResources: false,
    textMapPropagator: null,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  const tracer = trace.getTracer("souk");
  return {
    startSpan: (name: string, kind: keyof typeof kinds, parent: string | undefined) =>
      recordSpan(tracer, name, kinds[kind], parent),
    async shutdown() {
      await Promise.race([sdk.shutdown().catch(() => undefined), delay(shutdownTimeoutMs)]);
      trace.disable();
    },
  };
}

function recordSpan(tracer: Tracer, name: string, kind: SpanKind, parent: string | undefined) {
  const span = tracer.startSpan(name, { kind }, contextOf(parent));
  return {
    traceparent: toTraceparent(span.spanContext()),
    setAttribute: (attribute: string, value: string | number | boolean) =>
      void span.setAttribute(attribute, value),
    end: (error?: unknown) => endSpan(span, error),
  };
}

function endSpan(span: Span, error: unknown): void {
  if (error !== undefined) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    // The text of an error may tell about a person; its reason cannot.
    span.setAttribute("error.type", error instanceof ServiceError ? error.reason : nameOf(error));
  }
  span.end();
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function contextOf(traceparent: string | undefined): Context {
  const parent = parseTraceparent(traceparent);
  return parent === undefined
    ? ROOT_CONTEXT
    : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
}

function toTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}
