import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it, vi } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { GetStockResponseSchema, InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { createMetrics } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import type { Call } from "./call.ts";
import { type ClientOptions, createClient, onRecovery } from "./client.ts";
import { allowed, orderId, sku, startInventory } from "./tests/inventory.ts";
import { frame } from "./tests/raw-call.ts";

const lines = [{ sku, quantity: 1 }];

function clientOf(url: string, options: Partial<ClientOptions> = {}) {
  const client = createClient(InventoryService, { url, token: () => allowed, ...options });
  return { ...client, [Symbol.dispose]: client.close };
}

function away() {
  return serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "Away.");
}

// An inventory whose calls fail a number of times; it remembers the keys it was asked with.
async function failing(times: number, error: () => Error = away) {
  const keys: (string | undefined)[] = [];
  const answer = (_request: unknown, call: Call) => {
    keys.push(call.idempotencyKey);
    if (keys.length <= times) throw error();
    return {};
  };
  const inventory = await startInventory({ getStock: answer, reserveStock: answer });
  return { ...inventory, keys, [Symbol.asyncDispose]: inventory[Symbol.asyncDispose] };
}

it("a call that changes nothing is repeated while its callee is away", async () => {
  await using inventory = await failing(2);
  using client = clientOf(inventory.url);
  await client.getStock({ sku });
  expect(inventory.keys).toHaveLength(3);
});

it("a call is made three times at most", async () => {
  await using inventory = await failing(10);
  using client = clientOf(inventory.url);
  await expect(client.getStock({ sku }, { retries: 9 })).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  expect(inventory.keys).toHaveLength(3);
});

it("a command is repeated only when asked, with the same key", async () => {
  await using inventory = await failing(2);
  using client = clientOf(inventory.url);
  const options = { idempotencyKey: "saga:reserve" };
  await expect(client.reserveStock({ orderId, lines }, options)).rejects.toMatchObject({
    code: Code.UNAVAILABLE,
  });
  expect(inventory.keys).toEqual(["saga:reserve"]);
  await client.reserveStock({ orderId, lines }, { ...options, retries: 1 });
  expect(inventory.keys).toEqual(["saga:reserve", "saga:reserve", "saga:reserve"]);
});

it("a call that failed for another reason than absence is not repeated", async () => {
  await using inventory = await failing(1, () => new Error("bug"));
  using client = clientOf(inventory.url);
  await expect(client.getStock({ sku })).rejects.toMatchObject({ code: Code.INTERNAL });
  expect(inventory.keys).toHaveLength(1);
});

it("what was repeated in vain is not repeated again further up", async () => {
  await using far = await failing(100);
  using toFar = clientOf(far.url);
  let asked = 0;
  await using near = await startInventory({
    getStock: (request, call) => {
      asked++;
      return toFar.getStock(request, { call });
    },
  });
  using client = clientOf(near.url);
  await expect(client.getStock({ sku })).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  expect(far.keys).toHaveLength(3);
  expect(asked).toBe(1);
});

it("a client's calls share what may be repeated", async () => {
  await using inventory = await failing(1_000);
  using client = clientOf(inventory.url, { limits: { breakAfter: 10_000 } });
  await Promise.allSettled(Array.from({ length: 60 }, () => client.getStock({ sku })));
  expect(inventory.keys.length).toBeLessThanOrEqual(60 + 10 + 60 / 10);
});

it("a callee that fails again and again is left alone, and asked again after a while", async () => {
  await using inventory = await failing(5);
  using client = clientOf(inventory.url, { limits: { breakAfter: 5, probeEveryMs: 100 } });
  const command = () => client.reserveStock({ orderId, lines }, { idempotencyKey: "k" });
  for (let call = 0; call < 20; call++)
    await expect(command()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  expect(inventory.keys).toHaveLength(5);
  await expect
    .poll(() =>
      command().then(
        () => "well",
        () => "ill",
      ),
    )
    .toBe("well");
});

it("a callee is found well again though the call sent ahead has met a silence, which nobody waits for", async () => {
  let asked = 0;
  await using inventory = await startInventory({
    listStock: () => {
      asked += 1;
      if (asked === 1) throw away();
      return asked === 2 ? new Promise(() => undefined) : {};
    },
  });
  using client = clientOf(inventory.url, { limits: { breakAfter: 1, probeEveryMs: 20 } });
  const options = { retries: 0, timeoutMs: 60_000 };
  await expect(client.listStock({}, options)).rejects.toThrow();
  const outcomes: string[] = [];
  const ask = async () => {
    const call = client.listStock({}, options).then(
      () => outcomes.push("answered"),
      ({ reason }) => outcomes.push(reason),
    );
    // The one that meets the silence is left behind.
    await Promise.race([call, delay(5)]);
  };
  await vi.waitFor(async () => {
    await ask();
    expect(outcomes).toContain("answered");
  }, 5_000);
  expect(asked).toBeGreaterThan(2);
  expect(
    outcomes.filter((outcome) => outcome !== "DEPENDENCY_UNAVAILABLE" && outcome !== "answered"),
  ).toEqual([]);
});

it("what a callee refuses does not make it look ill", async () => {
  await using inventory = await startInventory();
  using client = clientOf(inventory.url, { limits: { breakAfter: 2 } });
  for (let call = 0; call < 5; call++)
    await expect(client.getStock({ sku: "no such" })).rejects.toMatchObject({ reason: "VALIDATION_FAILED" });
  expect((await client.getStock({ sku })).stock?.sku).toBe(sku);
});

it("more calls at once than a callee may be asked are refused here", async () => {
  const release = Promise.withResolvers<void>();
  let asked = 0;
  await using inventory = await startInventory({
    listStock: async () => {
      asked++;
      await release.promise;
      return {};
    },
  });
  using client = clientOf(inventory.url, { limits: { maxInFlight: 2 } });
  const waiting = [client.listStock({}), client.listStock({})];
  await expect.poll(() => asked).toBe(2);
  await expect(client.listStock({}, { retries: 0 })).rejects.toMatchObject({
    reason: "DEPENDENCY_UNAVAILABLE",
  });
  release.resolve();
  await Promise.all(waiting);
  expect(asked).toBe(2);
  await client.listStock({});
});

it("a callee that is started again is found within two seconds", async () => {
  const first = await startInventory();
  using client = clientOf(first.url);
  await client.getStock({ sku });
  await first.server.drain(0);
  await expect(client.getStock({ sku })).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  await using _second = await startInventory({}, { port: first.port });
  const asked = () =>
    client.getStock({ sku }).then(
      () => "found",
      () => "away",
    );
  await expect.poll(asked, { timeout: 2_000, interval: 20 }).toBe("found");
});

it("a call that the callee turned away unread is sent again, though it changes something", async () => {
  const answer = frame(toBinary(GetStockResponseSchema, create(GetStockResponseSchema)));
  let asked = 0;
  const server = createServer().on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    if (++asked === 1) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using client = clientOf(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  await client.reserveStock({ orderId, lines }, { idempotencyKey: "k" });
  expect(asked).toBe(2);
  server.close();
});

it("a call that ends as cancelled though nobody gave up counts as a callee that is away", async () => {
  const server = createServer().on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using client = clientOf(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
  const asked = client.reserveStock({ orderId, lines }, { idempotencyKey: "k" });
  await expect(asked).rejects.toMatchObject({ code: Code.UNAVAILABLE, reason: "DEPENDENCY_UNAVAILABLE" });
  server.close();
});

it("an own call carries the service's token, a forwarded one the caller's, and a given one wins", async () => {
  const subjects: (string | undefined)[] = [];
  await using inventory = await startInventory({
    getStock: (_request, call) => {
      subjects.push(call.principal?.subject);
      return {};
    },
  });
  const holding = (subject: string) => `${subject} inventory:read`;
  using client = clientOf(inventory.url, { token: () => Promise.resolve(holding("orders")) });
  const call = { correlationId: "c", token: holding("ada") };
  await client.getStock({ sku }, { call });
  await client.getStock({ sku }, { call, forwardToken: true });
  await client.getStock({ sku }, { call, token: holding("eve") });
  expect(subjects).toEqual(["orders", "ada", "eve"]);
});

it("who chose the canaries chooses them in every call that follows; any other word chooses nothing", async () => {
  const seen: (string | undefined)[] = [];
  await using far = await startInventory({
    getStock: (_request, call) => {
      seen.push(call.metadata("x-souk-track"));
      return {};
    },
  });
  using toFar = clientOf(far.url);
  await using near = await startInventory({ getStock: (request, call) => toFar.getStock(request, { call }) });
  using client = clientOf(near.url);
  for (const track of ["canary", undefined, "stable"])
    await client.getStock({ sku }, { call: { correlationId: "c", track: track as "canary" } });
  expect(seen).toEqual(["canary", undefined, undefined]);
});

it("what is called on behalf of a call goes by its correlation id and its trace", async () => {
  const seen: Partial<Call>[] = [];
  await using inventory = await startInventory({
    getStock: (_request, { correlationId, traceparent }) => {
      seen.push({ correlationId, traceparent });
      return {};
    },
  });
  using client = clientOf(inventory.url);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const call = { correlationId: "checkout-7", traceparent };
  await client.getStock({ sku }, { call, correlationId: "not this one" });
  expect(seen).toEqual([{ correlationId: "checkout-7", traceparent }]);
});

it("each attempt is counted with how it ended", async () => {
  await using inventory = await failing(1);
  const metrics = createMetrics();
  using client = clientOf(inventory.url, { metrics });
  await client.getStock({ sku });
  const text = await metrics.registry.getSingleMetricAsString("rpc_client_calls_total");
  expect(text).toContain('method="souk.inventory.v1.InventoryService/GetStock",code="UNAVAILABLE"} 1');
  expect(text).toContain('method="souk.inventory.v1.InventoryService/GetStock",code="OK"} 1');
});

it("a URL that is not plain http is refused", () => {
  expect(() => clientOf("https://inventory:8443")).toThrow(/http:\/\//);
});

it("reading is not refused because changing is ill, nor the other way round", async () => {
  let changing = 0;
  await using inventory = await startInventory({
    getStock: () => ({}),
    reserveStock: () => {
      changing++;
      throw away();
    },
  });
  using client = clientOf(inventory.url, { limits: { breakAfter: 1 } });
  const change = () => client.reserveStock({ orderId, lines }, { idempotencyKey: "k" });
  await expect(change()).rejects.toMatchObject({ code: Code.UNAVAILABLE });
  await expect(change()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  expect(changing).toBe(1);
  await client.getStock({ sku });
});

it("who waits because a callee was away is told when it is back, within the time of one probe and one call", async () => {
  await using inventory = await failing(6);
  using client = clientOf(inventory.url, { limits: { breakAfter: 2, probeEveryMs: 50 } });
  const call = (key: string) => client.reserveStock({ orderId, lines }, { idempotencyKey: key });
  const failureOf = (key: string): Promise<unknown> =>
    call(key).then(
      () => undefined,
      (error: unknown) => error,
    );
  const woken: string[] = [];
  const waitAfter = async (key: string, failure: unknown): Promise<void> => {
    await new Promise<void>((resolve) => onRecovery(failure, resolve));
    woken.push(key);
    const again = await failureOf(key);
    if (again !== undefined) await waitAfter(key, again);
  };
  // An hour of backoff would not matter: each waits for nothing but the callee's recovery.
  await Promise.all(["a", "b", "c", "d"].map(async (key) => await waitAfter(key, await failureOf(key))));
  expect(new Set(woken)).toEqual(new Set(["a", "b", "c", "d"]));
});
