import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";

/** The port for whoever runs the edge. */
export interface OperationsPort {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/metrics`, `/health/live` and `/health/ready` (503 before the edge listens and while it drains). */
export async function startOperations(
  address: { host: string; port: number },
  registry: Registry,
  isReady: () => boolean,
): Promise<OperationsPort> {
  const server = http.createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
    const answer = (status: number, text: string, type = "text/plain; charset=utf-8") =>
      response.writeHead(status, { "content-type": type }).end(text);
    if (request.url === "/health/live") answer(200, "live\n");
    else if (request.url === "/health/ready") isReady() ? answer(200, "ready\n") : answer(503, "not ready\n");
    else if (request.url === "/metrics")
      registry.metrics().then(
        (text) => answer(200, text, registry.contentType),
        () => answer(500, "no metrics\n"),
      );
    else answer(404, "not found\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
