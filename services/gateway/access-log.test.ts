import { describe, expect, test } from "vitest";
import { createEdgeError, type EdgeRequest, type Settled } from "#edge/edge.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { createLogger, createMetrics } from "#kit/telemetry/telemetry.ts";
import { reportRequest } from "./access-log.ts";
import type { RequestFacts } from "./entrance.ts";

const { watchOrder } = OrdersService.method;
const route = {
  service: OrdersService,
  method: watchOrder,
  httpMethod: "GET",
  template: "/v1/orders/{order_id}:watch",
  body: "",
  responseBody: "",
};

const facts: RequestFacts = {
  correlationId: "visit-42",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  span: undefined,
  address: "203.0.113.9",
  subject: "user_1",
};

const request = {
  protocol: "rest",
  httpMethod: "GET",
  target: "/v1/orders/order_1:watch?ticket=sealed-token",
  authority: "shop.example",
  remoteAddress: "192.0.2.7",
  context: facts,
} as EdgeRequest;

const aSettled = (over: Partial<Settled> = {}): Settled => ({
  request,
  method: watchOrder,
  route,
  httpStatus: 200,
  code: 0,
  reason: undefined,
  durationMs: 12.3456789,
  requestBytes: 0,
  responseBytes: 350,
  error: undefined,
  ...over,
});

/** The lines a request leaves, as text and as fields. */
async function report(settled: Settled, level: "trace" | "info" | "warn" = "info") {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const metrics = createMetrics();
  reportRequest(settled, createLogger({ service: "gateway", level, destination }), metrics);
  const counted = (await metrics.registry.metrics()).split("\n");
  return { lines, fields: lines.map((line) => JSON.parse(line)), counted };
}

describe("a request", () => {
  test("leaves one line, and is counted by its route", async () => {
    const { fields, counted } = await report(aSettled());
    expect(fields).toHaveLength(1);
    expect(fields[0]).toMatchObject({
      level: "info",
      msg: "request",
      protocol: "rest",
      httpMethod: "GET",
      route: "GET /v1/orders/{order_id}:watch",
      httpStatus: 200,
      durationMs: 12.346,
      responseBytes: 350,
      subject: "user_1",
      correlationId: "visit-42",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    });
    expect(fields[0]).not.toHaveProperty("address");
    expect(counted).toContain(
      'http_server_requests_total{route="GET /v1/orders/{order_id}:watch",status="200"} 1',
    );
  });

  test("leaves neither its target nor its ticket, at any level", async () => {
    for (const httpStatus of [200, 401, 500]) {
      const { lines } = await report(aSettled({ httpStatus }), "trace");
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toMatch(/ticket|sealed-token|order_1/);
    }
  });

  test.each([401, 403, 421, 429])("refused with %i leaves the address it came from", async (httpStatus) => {
    expect((await report(aSettled({ httpStatus }))).fields[0]).toMatchObject({ address: "203.0.113.9" });
  });

  test("that failed is told of with its cause, also where the others are not", async () => {
    const error = createEdgeError({ code: 13, reason: "INTERNAL", message: "x", cause: new Error("broken") });
    const { fields } = await report(aSettled({ httpStatus: 500, error }), "warn");
    expect(fields[0]).toMatchObject({ level: "warn", err: { message: "broken" } });
    expect((await report(aSettled(), "warn")).fields).toEqual([]);
  });

  test("that matched nothing has no route, and one over gRPC its method's name", async () => {
    const none = await report(aSettled({ method: undefined, route: undefined, httpStatus: 404 }));
    expect(none.fields[0]).toMatchObject({ route: "none" });
    const grpc = await report(aSettled({ route: undefined }));
    expect(grpc.fields[0]).toMatchObject({ route: "OrdersService/WatchOrder" });
  });

  test("ends its span with its route and status, as failed only where the fault is ours", async () => {
    for (const [httpStatus, failed] of [
      [200, false],
      [404, false],
      [503, true],
    ] as const) {
      const told: unknown[] = [];
      const span = {
        traceparent: facts.traceparent,
        setAttribute: (name: string, value: unknown) => told.push([name, value]),
        end: (error?: unknown) => told.push(error !== undefined),
      };
      await report(aSettled({ httpStatus, request: { ...request, context: { ...facts, span } } }));
      const attributes = [
        ["http.route", "GET /v1/orders/{order_id}:watch"],
        ["http.response.status_code", httpStatus],
      ];
      expect(told).toEqual([...attributes, failed]);
    }
  });
});
