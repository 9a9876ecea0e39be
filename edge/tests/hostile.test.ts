import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import zlib from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  file_edge_testing_v1_library,
  GetBookRequestSchema,
  LibraryService,
} from "#gen/edge/testing/v1/library_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { makeCertificate } from "./certificate.ts";
import { type EdgeProcess, startProgram } from "./program-process.ts";
import { exchangeBytes, sendRaw } from "./raw-http.ts";
import {
  clientPreface,
  converse,
  endHeaders,
  endStream,
  frame,
  frameType,
  headerBlock,
  requestHeaders,
} from "./raw-http2.ts";

// The program as a process: what is shown is that one process, never restarted, answers all of this and stays small.

const folder = mkdtempSync(join(tmpdir(), "edge-hostile-"));
const descriptors = join(folder, "library.binpb");
const limits = [
  ...[
    "--headers-timeout-ms",
    "700",
    "--request-timeout-ms",
    "900",
    "--write-timeout-ms",
    "900",
    "--idle-timeout-ms",
    "900",
  ],
  ...[
    "--max-request-bytes",
    "100000",
    "--operations",
    "127.0.0.1:0",
    "--access-log",
    "--cors-origin",
    "https://shop.test",
  ],
];
let backend: Backend;
let edge: EdgeProcess;
let port: number;

beforeAll(async () => {
  const files = [...new Set(filesOf(file_edge_testing_v1_library))].map(({ proto }) => proto);
  writeFileSync(
    descriptors,
    toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })),
  );
  backend = await startBackend();
  edge = await startProgram([
    "--listen",
    "127.0.0.1:0",
    "--backend",
    `127.0.0.1:${backend.port}`,
    "--descriptors",
    descriptors,
    ...limits,
  ]);
  port = edge.port;
});

afterAll(async () => {
  expect(await edge.stop()).toBe(0);
  backend.kill();
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  expect(edge.child.exitCode).toBeNull();
  expect((await sendRaw(port, { target: "/v1/books/still-there" })).status).toBe(200);
});

function filesOf(file: typeof file_edge_testing_v1_library): (typeof file_edge_testing_v1_library)[] {
  return [...file.dependencies.flatMap(filesOf), file];
}

/** Longer than any of the limits above takes to act, on a machine that is busy. */
const patienceMs = 15_000;
const path = (method: string) => `/edge.testing.v1.LibraryService/${method}`;
const grpcHeaders = (method: string) =>
  requestHeaders("POST", path(method), [
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]);
const codeOf = (payload: Buffer) => payload.readUInt32BE(4);
const http1 = (text: string) => exchangeBytes(port, Buffer.from(text, "latin1"));

describe("a connection", () => {
  const slow: readonly (readonly [string, string])[] = [
    ["1: that stays silent", ""],
    ["1: with half a preface", "PRI * HT"],
    ["1: with a preface and nothing after it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["1: that is introduced and asks nothing", clientPreface.toString("latin1")],
    ["2: whose headers do not end", "GET / HTTP/1.1\r\nhost: a\r\n"],
    [
      "2: whose HTTP/2 headers do not end",
      Buffer.concat([
        clientPreface,
        frame(frameType.headers, 0, 1, requestHeaders("GET", "/v1/books/a")),
      ]).toString("latin1"),
    ],
    ["5: that speaks no protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n"],
  ];
  test.concurrent.each(slow)("%s is closed in time", async (_what, bytes) => {
    const { closedByPeer } = await converse(
      port,
      (socket) => socket.write(Buffer.from(bytes, "latin1")),
      patienceMs,
    );
    expect(closedByPeer).toBe(true);
  });

  test("2: that sends a byte of its headers now and then is closed all the same", async () => {
    const drip = (socket: net.Socket, over: AbortSignal) => {
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n");
      const timer = setInterval(() => socket.write("x"), 100);
      over.addEventListener("abort", () => clearInterval(timer));
    };
    expect((await converse(port, drip, patienceMs)).closedByPeer).toBe(true);
  });

  test("3: whose body does not arrive is answered 408, over HTTP/1.1 and HTTP/2", async () => {
    const text =
      "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    expect((await http1(text)).status).toBe(408);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1/books",
      "content-type": "application/json",
    });
    stream.write("{");
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(408);
    session.destroy();
  });

  test("4: that asks for much and does not read is cut off, over HTTP/1.1 and HTTP/2", async () => {
    const target = "/v1/books:watch?count=20000&paddingBytes=5000";
    const socket = net.connect(port, "127.0.0.1", () =>
      socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`),
    );
    socket.pause();
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    const stream = session.request({ ":path": target });
    stream.on("error", () => undefined).pause();
    await expect.poll(() => backend.facts.open, { timeout: patienceMs }).toBe(2);
    await expect.poll(() => backend.facts.open, { timeout: patienceMs }).toBe(0);
    socket.destroy();
    session.destroy();
  });
});

describe("HTTP/2 frames", () => {
  test("5: streams opened and reset at once end their connection, and few reach the backend", async () => {
    const before = backend.facts.answered;
    const burst = Array.from({ length: 2_000 }, (_, at) => [
      frame(frameType.headers, endHeaders | endStream, 2 * at + 1, requestHeaders("GET", "/v1/call")),
      frame(frameType.reset, 0, 2 * at + 1, Buffer.from([0, 0, 0, 8])),
    ]).flat();
    const { frames, closedByPeer } = await converse(
      port,
      (socket) => socket.write(Buffer.concat([clientPreface, ...burst])),
      patienceMs,
    );
    expect(closedByPeer).toBe(true);
    expect(frames.some(({ type }) => type === frameType.goaway)).toBe(true);
    expect(backend.facts.answered - before).toBeLessThan(150);
  });

  test("6: headers continued without end close their connection", async () => {
    const flood = (socket: net.Socket) => {
      socket.write(clientPreface);
      socket.write(frame(frameType.headers, endStream, 1, requestHeaders("GET", "/v1/call")));
      const more = frame(frameType.continuation, 0, 1, headerBlock([["x", "y".repeat(4_000)]]));
      for (let at = 0; at < 2_000 && !socket.destroyed; at++) socket.write(more);
    };
    expect((await converse(port, flood, patienceMs)).closedByPeer).toBe(true);
  });

  test("7: streams that a caller makes the edge reset end their connection", async () => {
    const abuse = Array.from({ length: 2_000 }, (_, at) => [
      frame(frameType.headers, endHeaders, 2 * at + 1, grpcHeaders("GetBook")),
      frame(frameType.windowUpdate, 0, 2 * at + 1, Buffer.alloc(4)),
    ]).flat();
    const { closedByPeer } = await converse(
      port,
      (socket) => socket.write(Buffer.concat([clientPreface, ...abuse])),
      patienceMs,
    );
    expect(closedByPeer).toBe(true);
  });

  test.each([
    ["8: pings", frame(frameType.ping, 0, 0, Buffer.alloc(8))],
    ["8: settings", frame(frameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 1]))],
  ])("%s without end, and nobody to read the answers, close their connection", async (_what, one) => {
    const many = Buffer.concat(Array.from({ length: 2_000 }, () => one));
    const flood = (socket: net.Socket, over: AbortSignal) => {
      socket.pause();
      socket.write(clientPreface);
      const push = () => {
        while (!over.aborted && socket.write(many));
        if (!over.aborted) socket.once("drain", push);
      };
      push();
    };
    expect((await converse(port, flood, patienceMs)).closedByPeer).toBe(true);
  });

  test("9: a window that overflows closes its connection, a thousand times over", async () => {
    const overflow = Buffer.concat([
      clientPreface,
      frame(frameType.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    ]);
    for (let round = 0; round < 20; round++) {
      const all = Array.from({ length: 50 }, () =>
        converse(port, (socket) => socket.write(overflow), patienceMs),
      );
      for (const { closedByPeer } of await Promise.all(all)) expect(closedByPeer).toBe(true);
    }
  });

  test("10: a header block that is none, or unfolds to more than it may, ends its connection or its stream", async () => {
    const broken = frame(
      frameType.headers,
      endHeaders | endStream,
      1,
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    );
    const { closedByPeer } = await converse(
      port,
      (socket) => socket.write(Buffer.concat([clientPreface, broken])),
      patienceMs,
    );
    expect(closedByPeer).toBe(true);
    // One entry of 4,000 bytes in the dynamic table, named by a single byte two thousand times: eight megabytes.
    const entry = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from("x"),
      Buffer.from([127, 0x80 | (3_873 % 128), 3_873 >> 7]),
      Buffer.alloc(4_000, 121),
    ]);
    const bomb = Buffer.concat([requestHeaders("GET", "/v1/call"), entry, Buffer.alloc(2_000, 0x80 | 62)]);
    const { frames } = await converse(
      port,
      (socket) =>
        socket.write(
          Buffer.concat([clientPreface, frame(frameType.headers, endHeaders | endStream, 1, bomb)]),
        ),
      patienceMs,
    );
    const data = frames.filter(({ type }) => type === frameType.data);
    expect(data.length).toBeLessThanOrEqual(1);
    expect(Buffer.concat(data.map(({ payload }) => payload)).toString()).not.toContain('"timeoutMs"');
  });

  test("11: more streams at once than there may be are refused", async () => {
    const many = Array.from({ length: 300 }, (_, at) =>
      frame(frameType.headers, endHeaders, 2 * at + 1, grpcHeaders("GetBook")),
    );
    const { frames } = await converse(
      port,
      (socket) => socket.write(Buffer.concat([clientPreface, ...many])),
      2_000,
    );
    const refused = frames.filter(
      ({ type, payload }) => type === frameType.reset && payload.readUInt32BE(0) === 7,
    );
    const goaways = frames.filter(({ type }) => type === frameType.goaway);
    expect(refused.length > 150 || goaways.some(({ payload }) => codeOf(payload) !== 0)).toBe(true);
  });
});

describe("a request's head", () => {
  const heads: readonly (readonly [string, string, number])[] = [
    ["12: 100 KB of headers", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(100_000)}\r\n\r\n`, 431],
    [
      "13: a target of 20 KB",
      `GET /v1/books/${"y".repeat(20_000)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      414,
    ],
    [
      "14: two kinds of length",
      "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    [
      "14: two lengths",
      "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
      400,
    ],
    [
      "14: a length that is none",
      "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: +4\r\n\r\nabcd",
      400,
    ],
    [
      "14: a space before the colon",
      "POST /v1/books HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["15: NUL in a header", "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400],
    [
      "15, 72: a terminal's escape in a header",
      "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: \x1b[31m\r\n\r\n",
      400,
    ],
    ["15: a bare line feed in a header", "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: a\ny: b\r\n\r\n", 400],
    ["17: no host", "GET /v1/books/a HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
    [
      "18: a wish for h2c",
      "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
      200,
    ],
  ];
  test.each(heads)("%s", async (_what, bytes, status) => {
    const answer = await http1(bytes);
    expect(answer.status).toBe(status);
    expect(answer.headers).not.toHaveProperty("upgrade");
  });

  test("16: forged facts about the caller do not reach the backend", async () => {
    const forged = {
      "x-forwarded-for": "6.6.6.6",
      "x-forwarded-host": "evil.test",
      forwarded: "for=6.6.6.6",
      "grpc-timeout": "5S",
      "grpc-internal": "1",
      "connect-x": "1",
      connection: "close, x-hop",
      "x-hop": "1",
    };
    const seen = (await sendRaw(port, { target: "/v1/call", headers: forged })).json().metadata as Record<
      string,
      string
    >;
    expect(seen["x-forwarded-for"]).toBe("127.0.0.1");
    expect(seen["x-forwarded-host"]).not.toBe("evil.test");
    for (const name of ["forwarded", "grpc-internal", "connect-x", "x-hop"])
      expect(seen).not.toHaveProperty(name);
  });

  test("19: TLS before 1.2, and plain text where TLS is spoken, get nothing", async () => {
    const { cert, key } = makeCertificate("hostile");
    const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    const secure = await startProgram([
      ...["--listen", "127.0.0.1:0", "--backend", `127.0.0.1:${backend.port}`, "--descriptors", descriptors],
      ...["--tls-cert", files.cert, "--tls-key", files.key],
    ]);
    const shake = (maxVersion: "TLSv1" | "TLSv1.2") =>
      new Promise<string>((resolve) => {
        const options = {
          port: secure.port,
          host: "127.0.0.1",
          ca: cert,
          minVersion: "TLSv1",
          maxVersion,
          ciphers: "DEFAULT@SECLEVEL=0",
        } as const;
        const socket = tls.connect(options, () => {
          resolve(String(socket.getProtocol()));
          socket.destroy();
        });
        socket.on("error", () => resolve("refused"));
      });
    expect([await shake("TLSv1"), await shake("TLSv1.2")]).toEqual(["refused", "TLSv1.2"]);
    const { closedByPeer, frames } = await converse(
      secure.port,
      (socket) => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
      patienceMs,
    );
    expect([closedByPeer, frames]).toEqual([true, []]);
    await secure.stop();
  });
});

/** Sends a gRPC request as bytes; resolves with its status. */
async function grpcStatusOf(
  body: Buffer,
  headers: Record<string, string> = {},
  method = "GetBook",
): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
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
    ["31: a timeout in words", message(request), { "grpc-timeout": "abc" }, [3]],
    ["31: a negative timeout", message(request), { "grpc-timeout": "-5S" }, [3]],
    ["31: a timeout of nine digits", message(request), { "grpc-timeout": "123456789S" }, [3]],
  ];
  test.each(faults)("%s", async (_what, body, headers, codes) => {
    const startedMs = performance.now();
    expect(codes).toContain(await grpcStatusOf(body, headers));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("32: for a method or service that is not there, reflection included, is UNIMPLEMENTED", async () => {
    for (const [method, own] of [
      ["Nothing", undefined],
      ["GetBook", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"],
      ["GetBook", "/a.B/C"],
    ] as const)
      expect(await grpcStatusOf(message(request), own === undefined ? {} : { ":path": own }, method)).toBe(
        12,
      );
  });

  test("33: as text is no gRPC: 415", async () => {
    const answer = await sendRaw(port, {
      method: "POST",
      target: path("GetBook"),
      headers: { "content-type": "text/plain" },
      body: "hello",
    });
    expect(answer.status).toBe(415);
  });

  test("28: fields that nobody knows, 90 KB of them, are no trouble", async () => {
    const unknown = Buffer.concat(
      Array.from({ length: 900 }, () => Buffer.concat([Buffer.from([0xfa, 0x3f, 97]), Buffer.alloc(97)])),
    );
    expect(await grpcStatusOf(message(Buffer.concat([request, unknown])))).toBe(0);
  });
});

function nested(depth: number): Buffer {
  // Field 31 of Kinds would do as well; an unknown group nests without a contract.
  return Buffer.concat([Buffer.alloc(depth, 0xa3 - 0x80), Buffer.alloc(depth, 0xa4 - 0x80)]);
}

describe("JSON", () => {
  const json = { "content-type": "application/json" };
  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    sendRaw(port, { method: "POST", target: "/v1/books", headers: { ...json, ...headers }, body });
  const bodies: readonly (readonly [string, string | Buffer, readonly number[]])[] = [
    ["34: nested a hundred thousand deep", "[".repeat(49_000) + "]".repeat(49_000), [400]],
    ["34: nested in a struct", `{"extra":${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}}`, [400]],
    ["35: one key twice", '{"pageCount":1,"pageCount":999}', [400]],
    ["36: the prototype's own keys", '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}', [200, 400]],
    ["37: more than it may be", `{"displayTitle":"${"x".repeat(100_001)}"}`, [413]],
    ["38: a number beyond the exact ones", '{"copiesSold":9007199254740993}', [200]],
    ["39: a number beyond all", '{"pageCount":1e400}', [400]],
    ["39: no number", '{"pageCount":NaN}', [400]],
    ["40: half a surrogate pair", '{"displayTitle":"\\ud800"}', [400]],
    ["40: a name of 90 KB", `{"${"n".repeat(90_000)}":1}`, [200, 400]],
    ["41: something behind it", '{"id":"a"} x', [400]],
    ["41: a byte order mark", Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from("{}")]), [400]],
    ["41: UTF-16", Buffer.from('{"id":"a"}', "utf16le"), [400, 415]],
    ["43: a list where an object is due", '{"author":[]}', [400]],
    [
      "74: 20,000 keys that look like numbers",
      `{"labels":{${Array.from({ length: 7_000 }, (_, at) => `"${at * 65_536}":"x"`).join()}}}`.slice(
        0,
        99_000,
      ),
      [200, 400],
    ],
  ];
  test.each(bodies)("%s", async (_what, body, statuses) => {
    const startedMs = performance.now();
    const answer = await post(body);
    expect(statuses).toContain(answer.status);
    expect(answer.body).not.toMatch(/\bat .*\.(?:ts|js):\d+/);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("38: is exact", async () => {
    expect((await post('{"copiesSold":9007199254740993}')).json().copiesSold).toBe("9007199254740993");
  });

  test("22, 37: compressed to nearly nothing is measured by what it unfolds to", async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(50_000_000, " "));
    expect((await post(bomb, { "content-encoding": "gzip" })).status).toBe(413);
  });

  test("42: a member nobody knows is refused where the edge is told to", async () => {
    const strict = await startProgram([
      ...["--listen", "127.0.0.1:0", "--backend", `127.0.0.1:${backend.port}`, "--descriptors", descriptors],
      ...["--unknown-members", "reject"],
    ]);
    const answer = await sendRaw(strict.port, {
      method: "POST",
      target: "/v1/books",
      headers: json,
      body: '{"id":"a","role":"admin"}',
    });
    expect([answer.status, answer.body.includes("role")]).toEqual([400, true]);
    await strict.stop();
  });
});

describe("a page, a path, a log", () => {
  test("65: a foreign origin is allowed nothing", async () => {
    const headers = { origin: "https://evil.test", "access-control-request-method": "POST" };
    for (const method of ["GET", "OPTIONS"]) {
      const answer = await sendRaw(port, { method, target: "/v1/books/a", headers });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });

  test.each([
    ["/v1/../v1/books/a", 404],
    ["/v1/books/../../etc", 404],
    ["/v1//books/a", 404],
    ["/v1/books/a/", 404],
    ["//v1/books/a", 404],
    ["/v1/books/%zz", 400],
    ["/v1/books/%c3%28", 400],
    ["/v1;x/books/a", 404],
    ["/V1/books/a", 404],
    ["/v1/%62ooks/a", 404],
  ])("67: %s leads nowhere", async (target, status) => {
    expect((await sendRaw(port, { target })).status).toBe(status);
  });

  test("67: what is escaped twice is undone once", async () => {
    expect((await sendRaw(port, { target: "/v1/books/..%252f..%2Fetc" })).json().id).toBe("..%2f../etc");
  });

  test("72: a line of the log stays a line, and shows no query and no token", async () => {
    const target = "/v1/nope%0a%7B%22forged%22:1%7D?token=canary";
    const headers = { authorization: "Bearer canary", "user-agent": 'a\tb"}' };
    await sendRaw(port, { target, headers });
    const lines = () =>
      edge
        .output()
        .split("\n")
        .filter((line) => line.includes("forged"));
    await expect.poll(() => lines().length, { timeout: patienceMs }).toBe(1);
    expect(JSON.parse(lines()[0] ?? "")).toMatchObject({
      httpStatus: 404,
      path: "/v1/nope%0a%7B%22forged%22:1%7D",
    });
    expect(lines()[0]).not.toMatch(/canary|\t/);
  });

  test("73: an answer that depends on its caller's origin says so to caches", async () => {
    expect(
      (await sendRaw(port, { target: "/v1/books/a", headers: { origin: "https://shop.test" } })).headers.vary,
    ).toContain("origin");
    expect((await sendRaw(port, { target: "/v1/books/a" })).headers.vary).toContain("origin");
  });
});

test("after all of that it is the same process, and no larger than it may be", async () => {
  const metrics = await (await fetch(`http://127.0.0.1:${edge.operationsPort}/metrics`)).text();
  const bytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
  expect(bytes).toBeLessThan(400 * 1024 * 1024);
  expect(metrics).not.toMatch(/status="50[0-9]",code="(?:13|2)"/);
  expect(LibraryService.methods.length).toBeGreaterThan(0);
});
