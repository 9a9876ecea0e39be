import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEdgeError, type Settled } from "#edge/edge.ts";
import {
  type Book,
  BookSchema,
  FailCallRequestSchema,
  GetBookRequestSchema,
  InspectCallRequestSchema,
  type InspectCallResponse,
  LibraryService,
  WaitForCancelRequestSchema,
  WatchBooksRequestSchema,
} from "#gen/edge/testing/v1/library_pb.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { libraryDefinition } from "./backend.ts";
import { eventually, startTestEdge, type TestEdge } from "./test-edge.ts";

let shop: TestEdge;
let grpcClient: grpc.Client &
  Record<
    string,
    (...given: unknown[]) => grpc.ClientReadableStream<Message> & grpc.ClientDuplexStream<Message, Message>
  >;
const settled: Settled[] = [];

beforeAll(async () => {
  shop = await startTestEdge({
    policyFor: (method) => ({
      exposed: method.name !== "HiddenCall",
      maxRequestBytes: 10_000,
      maxTimeoutMs: 5_000,
    }),
    onSettled: (facts) => settled.push(facts),
    admit: (call) => {
      if (call.header("x-banned") !== undefined) {
        throw createEdgeError({ code: 7, reason: "BANNED", message: "you are banned", domain: "shop" });
      }
      call.setMetadata("x-caller", `by ${call.protocol}`);
      call.setHeader("x-admitted", "yes");
    },
  });
  const Client = grpc.makeGenericClientConstructor(libraryDefinition, "Library");
  grpcClient = new Client(
    `127.0.0.1:${shop.port}`,
    grpc.credentials.createInsecure(),
  ) as unknown as typeof grpcClient;
});

afterAll(async () => {
  grpcClient.close();
  await shop.stop();
});

function unary<T>(
  name: string,
  request: Message,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    grpcClient[name]?.call(
      grpcClient,
      request,
      metadata,
      options,
      (error: grpc.ServiceError | null, answer: T) => (error === null ? resolve(answer) : reject(error)),
    );
  });
}

function metadataOf(entries: Record<string, string>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

describe("a grpc-js client through the edge", () => {
  test("gets its answer", async () => {
    const book = await unary<Book>("GetBook", create(GetBookRequestSchema, { id: "a" }));
    expect(book.id).toBe("a");
  });

  test("has its deadline capped and its metadata passed on", async () => {
    const seen = await unary<InspectCallResponse>(
      "InspectCall",
      create(InspectCallRequestSchema),
      metadataOf({ "x-kept": "yes" }),
      { deadline: Date.now() + 60_000 },
    );
    expect(seen.metadata).toMatchObject({ "x-kept": "yes", "x-caller": "by grpc" });
    expect(seen.timeoutMs).toBeGreaterThan(3_000);
    expect(seen.timeoutMs).toBeLessThanOrEqual(5_000);
  });

  test("gets the backend's status with its details", async () => {
    const request = create(FailCallRequestSchema, {
      code: 9,
      message: "not now",
      withDetails: true,
      info: create(ErrorInfoSchema, { reason: "BUSY", domain: "library" }),
    });
    const error = await unary("FailCall", request).catch((thrown: grpc.ServiceError) => thrown);
    expect(error).toMatchObject({ code: 9, details: "not now" });
    expect(String((error as grpc.ServiceError).metadata.get("grpc-status-details-bin")[0])).toContain("BUSY");
  });

  test("does not see the text of an internal error", async () => {
    await expect(
      unary("FailCall", create(FailCallRequestSchema, { code: 13, message: "at line 5" })),
    ).rejects.toMatchObject({ code: 13, details: "internal error" });
  });

  test("is refused by the gateway with a reason", async () => {
    const error = await unary("GetBook", create(GetBookRequestSchema), metadataOf({ "x-banned": "1" })).catch(
      (thrown: grpc.ServiceError) => thrown,
    );
    expect(error).toMatchObject({ code: 7, details: "you are banned" });
    expect(String((error as grpc.ServiceError).metadata.get("grpc-status-details-bin")[0])).toContain(
      "BANNED",
    );
  });

  test("finds no hidden method", async () => {
    await expect(unary("HiddenCall", create(GetBookRequestSchema))).rejects.toMatchObject({ code: 12 });
  });

  test("cannot send more than the route takes", async () => {
    await expect(
      unary("CreateBook", create(BookSchema, { displayTitle: "x".repeat(20_000) })),
    ).rejects.toMatchObject({ code: 8 });
  });

  test("streams from the backend", async () => {
    const call = grpcClient.WatchBooks?.call(
      grpcClient,
      create(WatchBooksRequestSchema, { count: 500, paddingBytes: 5_000 }),
    );
    let count = 0;
    for await (const _book of call as AsyncIterable<Book>) count++;
    expect(count).toBe(500);
  });

  test("streams both ways", async () => {
    const call = grpcClient.Chat?.call(grpcClient);
    const ids: string[] = [];
    call?.on("data", (book: Book) => ids.push(book.id));
    for (const id of ["1", "2", "3"]) {
      call?.write(create(BookSchema, { id }));
      await eventually(() => ids.at(-1) === id);
    }
    const ended = new Promise((resolve) => call?.once("status", resolve));
    call?.end();
    expect(await ended).toMatchObject({ code: 0 });
  });

  test("calls the backend off by leaving", async () => {
    const before = shop.backend.facts.cancelled;
    const call = grpcClient.WatchBooks?.call(
      grpcClient,
      create(WatchBooksRequestSchema, { count: 1, stayOpen: true }),
    );
    call?.on("error", () => undefined);
    await new Promise((resolve) => call?.once("data", resolve));
    call?.cancel();
    await eventually(() => shop.backend.facts.cancelled === before + 1);
  });

  test("meets its own deadline", async () => {
    await expect(
      unary("WaitForCancel", create(WaitForCancelRequestSchema, { waitMs: 4_000 }), new grpc.Metadata(), {
        deadline: Date.now() + 100,
      }),
    ).rejects.toMatchObject({ code: 4 });
  });

  test("is reported once with its status", async () => {
    const reports = () => settled.filter((facts) => facts.method?.name === "FailCall" && facts.code === 6);
    await unary("FailCall", create(FailCallRequestSchema, { code: 6 })).catch(() => undefined);
    await eventually(() => reports().length > 0);
    expect(reports()).toMatchObject([{ request: { protocol: "grpc" }, httpStatus: 200 }]);
  });
});

const transports: [
  string,
  "1.1" | "2",
  (options: { baseUrl: string; httpVersion: "1.1" | "2" }) => Transport,
][] = [
  ["connect", "1.1", createConnectTransport],
  ["connect", "2", createConnectTransport],
  ["grpc-web", "1.1", createGrpcWebTransport],
  ["grpc-web", "2", createGrpcWebTransport],
];

describe.each(transports)("a %s client over HTTP/%s", (protocol, httpVersion, createTransport) => {
  const client = () =>
    createClient(LibraryService, createTransport({ baseUrl: `http://127.0.0.1:${shop.port}`, httpVersion }));

  test("gets its answer, with the gateway's metadata behind it", async () => {
    let header: Headers | undefined;
    const seen = await client().inspectCall(
      {},
      { headers: { "x-kept": "yes" }, onHeader: (headers) => (header = headers) },
    );
    expect(seen.metadata).toMatchObject({ "x-kept": "yes", "x-caller": `by ${protocol}` });
    expect(header?.get("x-admitted")).toBe("yes");
    expect(header?.get("x-shelf")).toBe("seven");
  });

  test("gets the backend's status with its details", async () => {
    const info = create(ErrorInfoSchema, { reason: "BUSY", domain: "library" });
    const error = await client()
      .failCall({ code: 9, message: "not now", withDetails: true, info })
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "not now" });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "BUSY", domain: "library" },
    ]);
  });

  test("is refused by the gateway with a reason", async () => {
    const error = await client()
      .getBook({}, { headers: { "x-banned": "1" } })
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: "you are banned" });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "BANNED", domain: "shop" },
    ]);
  });

  test("does not see the text of an internal error", async () => {
    await expect(client().failCall({ code: 13, message: "at line 5" })).rejects.toMatchObject({
      code: Code.Internal,
      rawMessage: "internal error",
    });
  });

  test("streams from the backend", async () => {
    const ids: string[] = [];
    for await (const book of client().watchBooks({ count: 300, paddingBytes: 2_000 })) ids.push(book.id);
    expect(ids).toEqual(Array.from({ length: 300 }, (_, at) => String(at)));
  });

  test("sees how a stream broke", async () => {
    const stream = client().watchBooks({ count: 1, failWith: 10 });
    const read = async (): Promise<void> => {
      for await (const _book of stream);
    };
    await expect(read()).rejects.toMatchObject({ code: Code.Aborted });
  });

  test("calls the backend off by leaving", async () => {
    const before = shop.backend.facts.cancelled;
    const abort = new AbortController();
    const stream = client().watchBooks({ count: 1, stayOpen: true }, { signal: abort.signal });
    await expect(async () => {
      for await (const _book of stream) abort.abort();
    }).rejects.toThrow();
    await eventually(() => shop.backend.facts.cancelled === before + 1);
  });

  test("cannot send more than the route takes", async () => {
    await expect(client().createBook({ displayTitle: "x".repeat(20_000) })).rejects.toMatchObject({
      code: Code.ResourceExhausted,
    });
  });

  test("finds no hidden method", async () => {
    await expect(client().hiddenCall({})).rejects.toMatchObject({ code: Code.Unimplemented });
  });
});

test("a Connect gRPC client over h2c passes through", async () => {
  const client = createClient(
    LibraryService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${shop.port}` }),
  );
  expect((await client.getBook({ id: "a" })).id).toBe("a");
});

test("Connect takes plain JSON over POST", async () => {
  const answer = await fetch(`http://127.0.0.1:${shop.port}/edge.testing.v1.LibraryService/GetBook`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"id":"a"}',
  });
  expect(await answer.json()).toEqual({ id: "a" });
});
