import { once } from "node:events";
import http2 from "node:http2";
import zlib from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BookSchema, GetBookRequestSchema } from "#gen/edge/testing/v1/library_pb.ts";
import { sendRaw } from "../raw-http.ts";
import { path, type Target } from "./target.ts";

/** Sends a gRPC request as bytes; resolves with its status. */
async function grpcStatusOf(
  target: Target,
  body: Buffer,
  headers: Record<string, string> = {},
  method = "GetBook",
): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${target.port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": path(method),
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  let status: unknown;
  const note = (seen: http2.IncomingHttpHeaders) => {
    status ??= seen["grpc-status"];
  };
  stream
    .on("response", note)
    .on("trailers", note)
    .on("error", () => undefined)
    .resume()
    .end(body);
  await once(stream, "close");
  session.destroy();
  return Number(status);
}

function message(bytes: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

const request = toBinary(GetBookRequestSchema, create(GetBookRequestSchema, { id: "a" }));

function nested(depth: number): Buffer {
  // Field 31 of Kinds would do as well; an unknown group nests without a contract.
  return Buffer.concat([Buffer.alloc(depth, 0xa3 - 0x80), Buffer.alloc(depth, 0xa4 - 0x80)]);
}

/** Rows 20 to 33: gRPC. */
export function attackByGrpc(target: Target): void {
  describe("a gRPC request", () => {
    const faults: readonly (readonly [string, Buffer, Record<string, string>, readonly number[]])[] = [
      ["20: cut off in its prefix", Buffer.from([0, 0, 0]), {}, [3]],
      ["20: cut off in its message", message(request).subarray(0, 6), {}, [3]],
      ["21: announcing 5 MB", Buffer.from([0, 0, 0x4c, 0x4b, 0x40, 1, 2]), {}, [8]],
      ["22: a bomb", message(zlib.gzipSync(Buffer.alloc(50_000_000)), 1), { "grpc-encoding": "gzip" }, [8]],
      ["23: compressed without saying how", message(zlib.gzipSync(request), 1), {}, [13]],
      ["23: compressed by something unknown", message(request, 1), { "grpc-encoding": "lzma" }, [12]],
      ["24: nested beyond measure", message(nested(50_000)), {}, [3, 13]],
      ["25: an endless varint", message(Buffer.alloc(12, 0xff)), {}, [3, 13]],
      ["26: text that is no UTF-8", message(Buffer.from([10, 2, 0xc3, 0x28])), {}, [3, 13]],
      [
        "30: two messages where one is due",
        Buffer.concat([message(request), message(request)]),
        {},
        [3, 12, 13],
      ],
      [
        "29: a list of a hundred thousand entries",
        message(Buffer.concat(Array.from({ length: 34_000 }, () => Buffer.from([0x3a, 1, 97])))),
        { ":path": path("CreateBook") },
        [8],
      ],
      ["31: a timeout in words", message(request), { "grpc-timeout": "abc" }, [3]],
      ["31: a negative timeout", message(request), { "grpc-timeout": "-5S" }, [3]],
      ["31: a timeout of nine digits", message(request), { "grpc-timeout": "123456789S" }, [3]],
    ];
    test.each(faults)("%s", async (_what, body, headers, codes) => {
      const startedMs = performance.now();
      expect(codes).toContain(await grpcStatusOf(target, body, headers));
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });

    test("32: for a method or service that is not there, reflection included, is UNIMPLEMENTED", async () => {
      for (const [method, own] of [
        ["Nothing", undefined],
        ["GetBook", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"],
        ["GetBook", "/a.B/C"],
      ] as const)
        expect(
          await grpcStatusOf(target, message(request), own === undefined ? {} : { ":path": own }, method),
        ).toBe(12);
    });

    test("33: as text is no gRPC: 415", async () => {
      const answer = await sendRaw(target.port, {
        method: "POST",
        target: path("GetBook"),
        headers: { "content-type": "text/plain" },
        body: "hello",
      });
      expect(answer.status).toBe(415);
    });

    test("27: an enum's number that nobody knows is the backend's to judge, since proto3's enums are open", async () => {
      const book = toBinary(BookSchema, create(BookSchema, { genre: 77 as never }));
      expect(await grpcStatusOf(target, message(book), {}, "CreateBook")).toBe(0);
    });

    test("28: fields that nobody knows, 90 KB of them, are no trouble", async () => {
      const unknown = Buffer.concat(
        Array.from({ length: 900 }, () => Buffer.concat([Buffer.from([0xfa, 0x3f, 97]), Buffer.alloc(97)])),
      );
      expect(await grpcStatusOf(target, message(Buffer.concat([request, unknown])))).toBe(0);
    });
  });
}
