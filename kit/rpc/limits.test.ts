import { connect, constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { GetStockRequestSchema } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { Audience, Retry } from "#gen/souk/options/v1/options_pb.ts";
import { delay } from "#kit/time/time.ts";
import { serviceOf } from "./tests/contract.ts";
import { sku, startInventory } from "./tests/inventory.ts";
import { frame, rawCall } from "./tests/raw-call.ts";

const message = toBinary(GetStockRequestSchema, create(GetStockRequestSchema, { sku }));
const whole = frame(message);

it("a whole request is answered", async () => {
  await using inventory = await startInventory();
  expect((await rawCall(inventory.url, { body: whole })).code).toBe(Code.OK);
});

it.each([
  ["a frame that ends before its message", frame(message, { declared: message.length + 10 })],
  ["a frame that ends before its length", whole.subarray(0, 3)],
  ["no frame", new Uint8Array()],
  ["two messages", Buffer.concat([whole, whole])],
  ["a message that is not protobuf", frame(Buffer.from([0xff, 0xff, 0xff, 0xff]))],
  ["a varint of eleven bytes", frame(Buffer.from([0x0a, ...Array(10).fill(0xff), 0x01]))],
  ["a field longer than the message", frame(Buffer.from([0x0a, 0x7f, 0x41]))],
  ["text that is not UTF-8", frame(Buffer.from([0x0a, 0x02, 0xc3, 0x28]))],
  ["groups nested 100,000 deep", frame(Buffer.alloc(100_000, 0x13))],
  ["bytes that are not the gzip they claim to be", frame(message, { compressed: 1 })],
])("%s is an invalid argument", async (_case, body) => {
  await using inventory = await startInventory();
  const outcome = await rawCall(inventory.url, { body, headers: { "grpc-encoding": "gzip" } });
  expect(outcome).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: "VALIDATION_FAILED" });
});

it("a grpc-timeout that is no time is an invalid argument", async () => {
  await using inventory = await startInventory();
  const outcome = await rawCall(inventory.url, { body: whole, headers: { "grpc-timeout": "soon" } });
  expect(outcome).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: "VALIDATION_FAILED" });
});

it("a request of more than 256 KiB is refused before it is read to its end", async () => {
  await using inventory = await startInventory();
  const body = frame(Buffer.alloc(1_000), { declared: 256 * 1024 + 1 });
  const outcome = await rawCall(inventory.url, { body, unfinished: true });
  expect(outcome).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "RESOURCE_EXHAUSTED" });
});

it("a method may take less than the others of its server", async () => {
  const policy = { audience: Audience.INTERNAL, anonymous: true, deadlineMs: 1_000, retry: Retry.NEVER };
  const descriptor = serviceOf({ Act: policy, Note: { ...policy, maxRequestBytes: 100 } });
  const services = [{ descriptor, handlers: { act: () => ({}), note: () => ({}) } }];
  await using server = await startInventory({}, { services });
  const body = frame(Buffer.concat([Buffer.from([0x0a, 120]), Buffer.alloc(120, "a")]));
  expect((await rawCall(server.url, { path: "/test.TestService/Act", body })).code).toBe(Code.OK);
  const outcome = await rawCall(server.url, { path: "/test.TestService/Note", body });
  expect(outcome).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "RESOURCE_EXHAUSTED" });
});

it("a request that is small only while it is compressed is refused", async () => {
  await using inventory = await startInventory();
  const body = frame(gzipSync(Buffer.alloc(10_000_000)), { compressed: 1 });
  const outcome = await rawCall(inventory.url, { body, headers: { "grpc-encoding": "gzip" } });
  expect(outcome.code).toBe(Code.RESOURCE_EXHAUSTED);
});

it("more than 16 KiB of metadata is refused", async () => {
  await using inventory = await startInventory();
  const padded = (length: number) =>
    rawCall(inventory.url, { body: whole, headers: { "x-pad": "a".repeat(length) } });
  expect((await padded(15_000)).code).toBe(Code.OK);
  expect(await padded(17_000)).toMatchObject({
    code: Number.NaN,
    resetCode: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  });
});

it("a request that is never finished is ended by the server", async () => {
  await using inventory = await startInventory({}, { limits: { requestTimeoutMs: 50 } });
  const outcome = await rawCall(inventory.url, { body: whole, unfinished: true });
  expect(outcome).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" });
});

it("a request that is whole is not hurried", async () => {
  const limits = { requestTimeoutMs: 20 };
  await using inventory = await startInventory({ getStock: () => delay(60).then(() => ({})) }, { limits });
  expect((await rawCall(inventory.url, { body: whole })).code).toBe(Code.OK);
});

it("a connection carries a thousand calls at once and says so", async () => {
  await using inventory = await startInventory();
  const session = connect(inventory.url);
  const settings = await new Promise((resolve) => session.once("remoteSettings", resolve));
  session.destroy();
  expect(settings).toMatchObject({ maxConcurrentStreams: 1_000, maxHeaderListSize: 16 * 1024 });
});

it("an unknown method is not implemented", async () => {
  await using inventory = await startInventory();
  expect(
    (await rawCall(inventory.url, { path: "/souk.inventory.v1.InventoryService/Steal", body: whole })).code,
  ).toBe(Code.UNIMPLEMENTED);
});
