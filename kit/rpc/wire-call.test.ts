// What a callee may do to a call on the wire, by a server that does exactly that.
import { once } from "node:events";
import { constants, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { GetStockResponseSchema, InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { type Client, createClient } from "./client.ts";
import { isExhausted } from "./retry-marks.ts";
import { frame } from "./tests/raw-call.ts";

const sku = "TEA-GREEN-100";
const answer = frame(toBinary(GetStockResponseSchema, create(GetStockResponseSchema, { stock: { sku } })));
const head = { ":status": 200, "content-type": "application/grpc" };

type Behaviour = (stream: ServerHttp2Stream, count: number) => void;

/** Answers with these bytes and trailers. */
const answers =
  (body: Uint8Array, trailers: Record<string, string> = { "grpc-status": "0" }): Behaviour =>
  (stream) => {
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.respond(head, { waitForTrailers: true });
    stream.end(body);
  };

async function startCallee(behave: Behaviour) {
  const server: Http2Server = createServer();
  let count = 0;
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.resume();
    stream.once("end", () => behave(stream, ++count));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client: Client<typeof InventoryService> = createClient(InventoryService, { url });
  return {
    get count() {
      return count;
    },
    ask: (timeoutMs = 5_000) => client.getStock({ sku }, { token: "any", retries: 0, timeoutMs }),
    [Symbol.dispose]() {
      client.close();
      server.close();
    },
  };
}

const failing: readonly (readonly [string, Behaviour, { code: number; reason?: string }])[] = [
  ["no message", answers(Buffer.alloc(0)), { code: 13 }],
  ["two messages", answers(Buffer.concat([answer, answer])), { code: 13 }],
  ["half a message", answers(answer.subarray(0, answer.length - 1)), { code: 13 }],
  ["a compressed message", answers(frame(new Uint8Array(4), { compressed: 1 })), { code: 13 }],
  ["a message of another kind", answers(frame(Buffer.from([0xff, 0xff, 0xff]))), { code: 13 }],
  ["5 MiB", answers(frame(new Uint8Array(4), { declared: 5 * 1024 * 1024 })), { code: 8 }],
  ["no status", answers(answer, { other: "trailer" }), { code: 13 }],
  ["a status that is no number", answers(answer, { "grpc-status": "fine" }), { code: 13 }],
  ["CANCELLED, which nobody here asked for", answers(Buffer.alloc(0), { "grpc-status": "1" }), { code: 14 }],
  [
    "UNAVAILABLE",
    answers(Buffer.alloc(0), { "grpc-status": "14" }),
    { code: 14, reason: "DEPENDENCY_UNAVAILABLE" },
  ],
  ["HTTP 503", (stream) => stream.respond({ ":status": 503 }, { endStream: true }), { code: 14 }],
  [
    "HTTP 200 in HTML",
    (stream) => stream.respond({ ":status": 200, "content-type": "text/html" }, { endStream: true }),
    { code: 13 },
  ],
  ["a reset for an internal error", (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR), { code: 13 }],
  ["a reset to calm down", (stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM), { code: 8 }],
  ["a cut connection", (stream) => stream.session?.destroy(), { code: 14 }],
];

it.each(failing)("a callee that answers %s fails the call", async (_what, behave, expected) => {
  using callee = await startCallee(behave);
  await expect(callee.ask()).rejects.toMatchObject(expected);
  expect(callee.count).toBe(1);
});

it("a call that was turned away unread is sent again, and no more than twice", async () => {
  const refuse = (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM);
  using once_ = await startCallee((stream, count) =>
    count === 1 ? refuse(stream) : answers(answer)(stream, count),
  );
  expect((await once_.ask()).stock?.sku).toBe(sku);
  using always = await startCallee(refuse);
  await expect(always.ask()).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  expect(always.count).toBe(3);
});

it("a callee that says so is not asked again by anybody", async () => {
  using callee = await startCallee(
    answers(Buffer.alloc(0), { "grpc-status": "14", "grpc-retry-pushback-ms": "-1" }),
  );
  const failure = await callee.ask().catch((error: Error) => error);
  expect(isExhausted(failure)).toBe(true);
});

it("a callee that does not answer has its call reset when the time is over", async () => {
  const reset = Promise.withResolvers<number>();
  using callee = await startCallee((stream) => stream.once("close", () => reset.resolve(stream.rstCode)));
  await expect(callee.ask(100)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(await reset.promise).toBe(constants.NGHTTP2_CANCEL);
});

it("what is no text never becomes a header", async () => {
  using callee = await startCallee(answers(answer));
  const client = createClient(InventoryService, { url: "http://127.0.0.1:1" });
  await expect(client.getStock({ sku }, { token: "a\r\nb: c" })).rejects.toThrow("no plain text");
  expect(callee.count).toBe(0);
});
