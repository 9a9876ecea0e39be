import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/inventory/v1/errors_pb.ts";
import {
  type GetStockRequest,
  GetStockRequestSchema,
  type GetStockResponse,
  InventoryService,
} from "#gen/souk/inventory/v1/inventory_pb.ts";
import { Audience, Retry } from "#gen/souk/options/v1/options_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Call } from "./call.ts";
import { type ClientOptions, createClient } from "./client.ts";
import { serviceOf } from "./tests/contract.ts";
import { allowed, orderId, sku, startInventory, type TestServer, verify } from "./tests/inventory.ts";
import { frame, rawCall } from "./tests/raw-call.ts";

const lines = [{ sku, quantity: 1 }];

function clientOf({ url }: TestServer, options: Partial<ClientOptions> = {}) {
  const client = createClient(InventoryService, { url, token: () => allowed, ...options });
  return { ...client, [Symbol.dispose]: client.close };
}

it("a call is answered by the method's handler, which knows who calls and what for", async () => {
  const calls: Call[] = [];
  await using inventory = await startInventory({
    reserveStock: (request, call) => {
      calls.push(call);
      return { reservation: { orderId: request.orderId, lines: request.lines } };
    },
  });
  using client = clientOf(inventory);
  const options = { idempotencyKey: "saga:reserve", correlationId: "c-1" };
  const answer = await client.reserveStock({ orderId, lines }, options);
  expect(answer.reservation).toMatchObject({ orderId, lines });
  expect(calls[0]).toMatchObject({
    method: InventoryService.method.reserveStock,
    principal: { subject: "ada" },
    token: allowed,
    idempotencyKey: "saga:reserve",
    correlationId: "c-1",
  });
});

it("an answer that is already bytes is sent as it is", async () => {
  await using inventory = await startInventory({
    getStock: () => new Uint8Array([0x0a, 0x03, 0x0a, 0x01, 0x41]) as never,
  });
  using client = clientOf(inventory);
  expect((await client.getStock({ sku })).stock?.sku).toBe("A");
});

it.each([
  ["no token", undefined, "TOKEN_MISSING", Code.UNAUTHENTICATED],
  ["a token the issuer did not make", "forged inventory:read", "TOKEN_INVALID", Code.UNAUTHENTICATED],
  ["a token without the method's scope", "ada orders:read", "SCOPE_MISSING", Code.PERMISSION_DENIED],
])("a call with %s is refused", async (_case, token, reason, code) => {
  await using inventory = await startInventory();
  using client = clientOf(inventory, token === undefined ? { token: undefined } : { token: () => token });
  await expect(client.getStock({ sku })).rejects.toMatchObject({ reason, code, domain: "errors.souk" });
});

it("a missing scope is named", async () => {
  await using inventory = await startInventory();
  using client = clientOf(inventory, { token: () => "ada" });
  await expect(client.getStock({ sku })).rejects.toMatchObject({ metadata: { scope: "inventory:read" } });
});

it("a token that has to be checked elsewhere is waited for", async () => {
  await using inventory = await startInventory({}, { verify: async (token) => verify(token) });
  using client = clientOf(inventory);
  expect((await client.getStock({ sku })).stock?.sku).toBe(sku);
  await expect(client.getStock({ sku }, { token: "forged" })).rejects.toMatchObject({
    reason: "TOKEN_INVALID",
  });
});

it("a stranger's bytes are not parsed", async () => {
  await using inventory = await startInventory();
  using client = clientOf(inventory, { token: undefined });
  await expect(client.getStock({ sku: "breaks the rules" })).rejects.toMatchObject({
    reason: "TOKEN_MISSING",
  });
});

it("fields that the contract does not know are dropped", async () => {
  const seen: GetStockRequest[] = [];
  await using inventory = await startInventory({
    getStock: (request) => {
      seen.push(request);
      return {};
    },
  });
  const known = toBinary(GetStockRequestSchema, create(GetStockRequestSchema, { sku }));
  const body = frame(Buffer.concat([known, Buffer.from([0xfa, 0x3e, 0x02, 0x68, 0x69])]));
  expect((await rawCall(inventory.url, { body })).code).toBe(Code.OK);
  expect(seen.map(({ sku: seenSku, $unknown }) => ({ seenSku, $unknown }))).toEqual([{ seenSku: sku }]);
});

it("headers that claim to know the caller change nothing", async () => {
  const calls: Call[] = [];
  await using inventory = await startInventory({
    getStock: (_request, call) => {
      calls.push(call);
      return {};
    },
  });
  const body = frame(toBinary(GetStockRequestSchema, create(GetStockRequestSchema, { sku })));
  const headers = { "x-user-id": "eve", "x-scopes": "inventory:write", "x-forwarded-for": "10.0.0.1" };
  await rawCall(inventory.url, { body, headers });
  expect(calls[0]?.principal?.subject).toBe("ada");
});

it("an anonymous method asks for no token and believes none", async () => {
  const calls: Call[] = [];
  const getProduct = (_request: never, call: Call) => {
    calls.push(call);
    return {};
  };
  const handlers = Object.fromEntries(CatalogService.methods.map(({ localName }) => [localName, getProduct]));
  await using catalog = await startInventory({}, { services: [{ descriptor: CatalogService, handlers }] });
  const client = createClient(CatalogService, { url: catalog.url, token: () => allowed });
  await client.listCategories({});
  expect(calls[0]?.principal).toBeUndefined();
  client.close();
});

it.each([
  ["none", undefined, "IDEMPOTENCY_KEY_MISSING"],
  ["an empty one", "", "IDEMPOTENCY_KEY_INVALID"],
  ["one of 256 characters", "k".repeat(256), "IDEMPOTENCY_KEY_INVALID"],
])("a command that needs an Idempotency-Key is refused with %s", async (_case, idempotencyKey, reason) => {
  await using inventory = await startInventory();
  using client = clientOf(inventory);
  await expect(client.reserveStock({ orderId, lines }, { idempotencyKey })).rejects.toMatchObject({
    reason,
    code: Code.INVALID_ARGUMENT,
  });
});

it("an Idempotency-Key may have 255 characters", async () => {
  await using inventory = await startInventory();
  using client = clientOf(inventory);
  const answer = await client.reserveStock({ orderId, lines }, { idempotencyKey: "k".repeat(255) });
  expect(answer.reservation?.orderId).toBe(orderId);
});

it("what a handler refuses arrives as it was thrown", async () => {
  await using inventory = await startInventory({
    reserveStock: () => {
      throw serviceError(ErrorReasonSchema, ErrorReason.OUT_OF_STOCK, "Only 3 pieces are left.", {
        metadata: { sku },
        violations: [{ field: "lines[0].quantity", description: "is more than there is" }],
        retryAfterMs: 1_500,
      });
    },
  });
  using client = clientOf(inventory);
  await expect(client.reserveStock({ orderId, lines }, { idempotencyKey: "k" })).rejects.toMatchObject({
    code: Code.FAILED_PRECONDITION,
    reason: "OUT_OF_STOCK",
    domain: "inventory.souk",
    message: "Only 3 pieces are left.",
    metadata: { sku },
    violations: [{ field: "lines[0].quantity", description: "is more than there is" }],
    retryAfterMs: 1_500,
  });
});

it("the text of a fault stays in the service's log", async () => {
  await using inventory = await startInventory({
    getStock: () => {
      throw new Error("password is hunter2");
    },
  });
  using client = clientOf(inventory);
  const error = await client.getStock({ sku }).then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  expect(error).toMatchObject({ code: Code.INTERNAL, reason: "INTERNAL" });
  expect(JSON.stringify(error) + error?.message).not.toContain("hunter2");
  expect(JSON.stringify(inventory.logged)).toContain("hunter2");
});

it("a message with half a character in it still arrives", async () => {
  await using inventory = await startInventory({
    getStock: () => {
      throw serviceError(ErrorReasonSchema, ErrorReason.STOCK_NOT_FOUND, "There is no \ud83e here.");
    },
  });
  using client = clientOf(inventory);
  await expect(client.getStock({ sku })).rejects.toMatchObject({ reason: "STOCK_NOT_FOUND" });
});

it("an answer that cannot be encoded is a fault of the service", async () => {
  await using inventory = await startInventory({
    getStock: () => ({ stock: { onHand: "many" } }) as unknown as GetStockResponse,
  });
  using client = clientOf(inventory);
  await expect(client.getStock({ sku })).rejects.toMatchObject({ code: Code.INTERNAL, reason: "INTERNAL" });
});

it("a call without a usable correlation id is given one", async () => {
  const ids: string[] = [];
  await using inventory = await startInventory({
    getStock: (_request, call) => {
      ids.push(call.correlationId);
      return {};
    },
  });
  using client = clientOf(inventory);
  await client.getStock({ sku }, { correlationId: "checkout-7" });
  await client.getStock({ sku }, { correlationId: "a b" });
  await client.getStock({ sku }, { correlationId: "x".repeat(200) });
  const made = expect.stringMatching(/^[0-9a-f-]{36}$/);
  expect(ids).toEqual(["checkout-7", made, made]);
});

const policy = { audience: Audience.INTERNAL, scopes: ["a"], deadlineMs: 50, retry: Retry.NEVER };

it.each([
  ["has no policy", undefined, /has no souk.options.v1.policy/],
  ["names no audience", { ...policy, audience: Audience.UNSPECIFIED }, /names no audience/],
  ["names no retry class", { ...policy, retry: Retry.UNSPECIFIED }, /names no retry class/],
  ["names no deadline", { ...policy, deadlineMs: 0 }, /names no deadline/],
  ["asks for no scope and is not anonymous", { ...policy, scopes: [] }, /asks for no scope/],
  ["is anonymous and asks for scopes", { ...policy, anonymous: true }, /is anonymous and asks/],
])("a service with a method that %s does not start", async (_case, methodPolicy, message) => {
  const descriptor = serviceOf({ Act: methodPolicy });
  await expect(
    startInventory({}, { services: [{ descriptor, handlers: { act: () => ({}) } }] }),
  ).rejects.toThrow(message);
});

it("a service with a method that nothing handles does not start", async () => {
  const services = [{ descriptor: serviceOf({ Act: policy }), handlers: {} }];
  await expect(startInventory({}, { services })).rejects.toThrow("test.TestService/Act has no handler");
});

it("a service whose requests stream does not start", async () => {
  const services = [{ descriptor: serviceOf({ Act: policy }, true), handlers: { act: () => ({}) } }];
  await expect(startInventory({}, { services })).rejects.toThrow(/streams requests/);
});

it("a port that is taken is an error", async () => {
  await using inventory = await startInventory();
  await expect(startInventory({}, { port: inventory.port })).rejects.toThrow(
    /address already in use|EADDRINUSE/,
  );
});
