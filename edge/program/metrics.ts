import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Settled } from "../options.ts";

/** Rate, errors and duration of requests, by route and status. */
export interface RequestMetrics {
  readonly registry: Registry;
  observe(settled: Settled): void;
}

/** Makes the metrics; labels come from the contract, so callers cannot invent any. */
export function createRequestMetrics(): RequestMetrics {
  const registry = new Registry();
  const requests = new Counter({
    name: "edge_requests_total",
    help: "Requests answered.",
    labelNames: ["protocol", "route", "status", "code"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "edge_request_duration_seconds",
    help: "Time from a request's headers to the end of its answer.",
    labelNames: ["protocol", "route"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory of the process.",
    registers: [registry],
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  return {
    registry,
    observe({ request: { protocol }, method, route, httpStatus, code, durationMs }) {
      const name = route
        ? `${route.httpMethod} ${route.template}`
        : method
          ? `/${method.parent.typeName}/${method.name}`
          : "none";
      requests.labels(protocol, name, String(httpStatus), code === undefined ? "" : String(code)).inc();
      duration.labels(protocol, name).observe(durationMs / 1_000);
    },
  };
}
