import { Server as GrpcServer, type Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ServiceError } from "#kit/errors/errors.ts";
import {
  createLogger,
  createMetrics,
  newTraceparent,
  startSidePort,
  startSpan,
  startTracing,
  traceFields,
} from "./telemetry.ts";

const releases: (() => unknown)[] = [];
afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

describe("a log line", () => {
  function capture(level: "info" | "debug" = "info") {
    const lines: Record<string, unknown>[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
    return { lines, log: createLogger({ service: "orders", level, destination }) };
  }

  it("is JSON with service, level by name, time and fields", () => {
    const { lines, log } = capture();
    log.info({ orderId: "order_1" }, "order placed");
    expect(lines).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        service: "orders",
        orderId: "order_1",
        msg: "order placed",
      },
    ]);
  });

  it("hides what is kept under a secret's name, at the top and one below", () => {
    const { lines, log } = capture();
    log.info({ token: "hunter2", headers: { authorization: "Bearer hunter2", accept: "*/*" } }, "call");
    expect(JSON.stringify(lines)).not.toContain("hunter2");
    expect(lines[0]).toMatchObject({ token: "[redacted]", headers: { accept: "*/*" } });
  });

  it("of an error has the text of its causes", () => {
    const { lines, log } = capture();
    log.error({ err: new Error("not saved", { cause: new Error("disk full") }) }, "failed");
    expect(JSON.stringify(lines[0])).toMatch(/not saved.*disk full/);
  });

  it("below the level is not written, and the logger says so beforehand", () => {
    const { lines, log } = capture();
    log.debug("detail");
    expect(lines).toEqual([]);
    expect([log.isLevelEnabled("debug"), capture("debug").log.isLevelEnabled("debug")]).toEqual([
      false,
      true,
    ]);
  });
});

describe("metrics", () => {
  it("are counted under the names and labels of the catalogue", async () => {
    const metrics = createMetrics();
    metrics.rpcServerCalls("souk.orders.v1.OrdersService/PlaceOrder", "OK").inc();
    metrics.rpcServerCalls("souk.orders.v1.OrdersService/PlaceOrder", "OK").inc(2);
    metrics.rpcServerCalls("souk.orders.v1.OrdersService/PlaceOrder", "NOT_FOUND").inc();
    metrics.rpcServerDuration("souk.orders.v1.OrdersService/PlaceOrder").observe(0.003);
    metrics.rpcClientCalls("souk.payments.v1.PaymentsService/CapturePayment", "OK").inc();
    metrics.httpServerRequests("/v1/orders", "202").inc();
    metrics.httpServerDuration("/v1/orders").observe(0.2);
    metrics.outboxPending.set(7);
    metrics.outboxOldestAgeSeconds.set(1.5);
    metrics.consumerPending("inventory").set(3);
    metrics.sagasInFlight("checkout").inc();
    const text = await metrics.registry.metrics();
    for (const line of [
      'rpc_server_calls_total{method="souk.orders.v1.OrdersService/PlaceOrder",code="OK"} 3',
      'rpc_server_calls_total{method="souk.orders.v1.OrdersService/PlaceOrder",code="NOT_FOUND"} 1',
      'rpc_server_duration_seconds_bucket{le="0.0025",method="souk.orders.v1.OrdersService/PlaceOrder"} 0',
      'rpc_server_duration_seconds_bucket{le="0.005",method="souk.orders.v1.OrdersService/PlaceOrder"} 1',
      'rpc_client_calls_total{method="souk.payments.v1.PaymentsService/CapturePayment",code="OK"} 1',
      'http_server_requests_total{route="/v1/orders",status="202"} 1',
      'http_server_duration_seconds_sum{route="/v1/orders"} 0.2',
      "outbox_pending_events 7",
      "outbox_oldest_age_seconds 1.5",
      'consumer_pending_messages{consumer="inventory"} 3',
      'sagas_in_flight{saga="checkout"} 1',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  });

  it("of the same labels are the same handle", () => {
    const metrics = createMetrics();
    expect(metrics.rpcServerCalls("a", "OK")).toBe(metrics.rpcServerCalls("a", "OK"));
    expect(metrics.rpcServerCalls("a", "OK")).not.toBe(metrics.rpcServerCalls("OK", "a"));
    expect(metrics.sagasInFlight("a")).toBe(metrics.sagasInFlight("a"));
  });

  it("of two processes do not mix", async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.outboxPending.set(5);
    expect(await other.registry.metrics()).toContain("\noutbox_pending_events 0\n");
  });
});

describe("the side port", () => {
  async function sidePort(state: { ready: boolean }) {
    const metrics = createMetrics();
    const side = await startSidePort({
      host: "127.0.0.1",
      port: 0,
      registry: metrics.registry,
      isReady: () => state.ready,
    });
    releases.push(side.close);
    return async (path: string, method = "GET") => {
      const response = await fetch(`http://127.0.0.1:${side.port}${path}`, { method });
      return {
        status: response.status,
        type: response.headers.get("content-type"),
        text: await response.text(),
      };
    };
  }

  it("shows the metrics as Prometheus text", async () => {
    const get = await sidePort({ ready: true });
    expect(await get("/metrics")).toMatchObject({
      status: 200,
      type: expect.stringContaining("text/plain; version=0.0.4"),
      text: expect.stringContaining("# TYPE rpc_server_duration_seconds histogram"),
    });
  });

  it("is ready exactly while the service says so, and live all the time", async () => {
    const state = { ready: false };
    const get = await sidePort(state);
    expect([(await get("/health/ready")).status, (await get("/health/live")).status]).toEqual([503, 200]);
    state.ready = true;
    expect([(await get("/health/ready")).status, (await get("/health/live")).status]).toEqual([200, 200]);
  });

  it("answers nothing else", async () => {
    const get = await sidePort({ ready: true });
    expect((await get("/")).status).toBe(404);
    expect((await get("/metrics", "POST")).status).toBe(405);
  });

  it("that is taken refuses to start", async () => {
    const { registry } = createMetrics();
    const options = { host: "127.0.0.1", registry, isReady: () => true };
    const first = await startSidePort({ ...options, port: 0 });
    releases.push(first.close);
    await expect(startSidePort({ ...options, port: first.port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });
});

describe("a trace context", () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  it("shows its ids as fields of a log line", () => {
    expect(traceFields(traceparent)).toEqual({
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      spanId: "00f067aa0ba902b7",
    });
  });

  it.each([
    undefined,
    "",
    "hello",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
  ])("%j is none", (text) => {
    expect(traceFields(text)).toBeUndefined();
  });

  it("can begin here, each time another", () => {
    expect(traceFields(newTraceparent())).toBeDefined();
    expect(newTraceparent()).not.toBe(newTraceparent());
  });
});

describe("tracing", () => {
  const exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

  async function startCollector() {
    const received: string[] = [];
    const server: Server = new GrpcServer();
    const bytes = { requestSerialize: Buffer.from, requestDeserialize: (buffer: Buffer) => buffer };
    const method = { path: exportPath, requestStream: false, responseStream: false, ...bytes };
    server.addService(
      {
        Export: {
          ...method,
          responseSerialize: Buffer.from,
          responseDeserialize: (buffer: Buffer) => buffer,
        },
      },
      {
        Export(call: { request: Buffer }, done: (error: null, answer: Buffer) => void) {
          received.push(call.request.toString("latin1"));
          done(null, Buffer.alloc(0));
        },
      },
    );
    releases.push(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    return { endpoint: `http://127.0.0.1:${port}`, received };
  }

  it("is off without a collector: there are no spans", async () => {
    const tracing = await startTracing({ service: "orders", endpoint: undefined });
    expect(startSpan("PlaceOrder", "server")).toBeUndefined();
    await tracing.shutdown();
  });

  it("sends spans with their parent, attributes and failure to the collector, and none after its end", async () => {
    const { endpoint, received } = await startCollector();
    const tracing = await startTracing({ service: "orders", endpoint });
    const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const span = startSpan("PlaceOrder", "server", parent);
    span?.setAttribute("rpc.method", "souk.orders.v1.OrdersService/PlaceOrder");
    expect(span?.traceparent).toMatch(
      /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/,
    );
    const below = startSpan("CapturePayment", "client", span?.traceparent);
    expect(traceFields(below?.traceparent)?.traceId).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
    below?.end(
      new ServiceError({ code: Code.NOT_FOUND, reason: "PAYMENT_NOT_FOUND", domain: "d", message: "of Ada" }),
    );
    span?.end();
    expect(traceFields(startSpan("alone", "internal")?.traceparent)?.traceId).not.toBe(
      "4bf92f3577b34da6a3ce929d0e0e4736",
    );
    await tracing.shutdown();
    const text = received.join("");
    for (const part of ["PlaceOrder", "CapturePayment", "rpc.method", "PAYMENT_NOT_FOUND", "orders"]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain("of Ada");
    expect(startSpan("late", "internal")).toBeUndefined();
  });
});
