import type { IncomingMessage, ServerResponse } from "node:http";
import type { Registry } from "prom-client";

/** Answers one request of the side port; never rejects. */
export async function answerSidePort(
  request: IncomingMessage,
  response: ServerResponse,
  registry: Registry,
  isReady: () => boolean,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return end(response, 405, "method not allowed");
  switch (request.url) {
    case "/metrics":
      return answerMetrics(response, registry);
    case "/health/live":
      return end(response, 200, "live");
    case "/health/ready":
      return isReady() ? end(response, 200, "ready") : end(response, 503, "not ready");
    default:
      return end(response, 404, "not found");
  }
}

async function answerMetrics(response: ServerResponse, registry: Registry): Promise<void> {
  try {
    end(response, 200, await registry.metrics(), registry.contentType);
  } catch {
    end(response, 500, "the metrics could not be read");
  }
}

function end(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" }).end(`${text}\n`);
}
