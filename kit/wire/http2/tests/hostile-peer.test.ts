import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { endHeaders, endStream, frame, frameType } from "#edge/tests/raw-http2.ts";
import { Http2Connection } from "../connection.ts";
import { errorCode } from "../frames.ts";
import { streamWindowBytes } from "../stream.ts";
import { type Heard, openRecorded } from "./recorded-stream.ts";

// A peer over a raw socket that does what no server does: each time the call ends with a clear reason, the peer is told the
// right code, and what is held of it stays small.

let server: net.Server | undefined;
let connection: Http2Connection | undefined;

afterEach(() => {
  connection?.close();
  server?.close();
});

const settings = frame(frameType.settings, 0, 0);
const ok = frame(frameType.headers, endHeaders, 1, Buffer.from([0x88]));
const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** A call to a peer that writes what it is given once it has the request; with what the peer was told. */
async function callTo(answer: (socket: Socket) => unknown): Promise<Heard & { told: number | undefined }> {
  const received: Buffer[] = [];
  const closed = Promise.withResolvers<void>();
  server = net.createServer((socket) => {
    socket.on("error", () => undefined).on("close", () => closed.resolve());
    socket.once("data", () => answer(socket));
    socket.on("data", (bytes: Buffer) => received.push(bytes));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  connection = new Http2Connection(
    { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    { onConnected: () => undefined, onGone: () => undefined, onStreamClosed: () => undefined },
  );
  const { stream, over } = openRecorded(connection, [":path", "/"]);
  stream.end();
  const heard = await over;
  connection.close();
  await closed.promise;
  return { ...heard, told: lastWord(Buffer.concat(received)) };
}

/** The code of the GOAWAY or RST_STREAM that came first; undefined for none. */
function lastWord(bytes: Buffer): number | undefined {
  const prefaceBytes = 24;
  for (let at = prefaceBytes; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === frameType.goaway) return bytes.readUInt32BE(at + 13);
    if (bytes[at + 3] === frameType.reset) return bytes.readUInt32BE(at + 9);
  }
  return undefined;
}

const literal = (name: string, value: string) =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);

const faults: [string, number, Buffer[]][] = [
  ["HTTP/1.1", errorCode.frameSize, [Buffer.from("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")]],
  ["no settings", errorCode.protocol, [ok]],
  ["a frame of 16 MB", errorCode.frameSize, [settings, Buffer.from([255, 255, 255, 0, 0, 0, 0, 0, 1])]],
  [
    "an answer to a stream that nobody opened",
    errorCode.protocol,
    [settings, frame(frameType.headers, endHeaders, 7, Buffer.from([0x88]))],
  ],
  [
    "data for a stream that nobody opened",
    errorCode.protocol,
    [settings, frame(frameType.data, 0, 2, Buffer.alloc(5))],
  ],
  [
    "a reset of a stream that nobody opened",
    errorCode.protocol,
    [settings, frame(frameType.reset, 0, 9, uint32(8))],
  ],
  [
    "a window for a stream that nobody opened",
    errorCode.protocol,
    [settings, frame(frameType.windowUpdate, 0, 9, uint32(8))],
  ],
  ["a push", errorCode.protocol, [settings, frame(5, endHeaders, 1, Buffer.from([0, 0, 0, 2, 0x88]))]],
  [
    "a connection's window of more than 31 bits",
    errorCode.flowControl,
    [settings, frame(frameType.windowUpdate, 0, 0, uint32(0x7fffffff))],
  ],
  [
    "settings that make a stream's window too large",
    errorCode.flowControl,
    [
      settings,
      frame(frameType.windowUpdate, 0, 1, uint32(0x7fff0000)),
      frame(frameType.settings, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])),
    ],
  ],
  [
    "a header block that cannot be decoded",
    errorCode.compression,
    [settings, frame(frameType.headers, endHeaders, 1, Buffer.from([0xff]))],
  ],
];

test.each(faults)("%s ends the connection", async (_title, code, frames) => {
  const { reset, told } = await callTo((socket) => socket.write(Buffer.concat(frames)));
  expect(told).toBe(code);
  expect(reset).toMatchObject({ code: 0, reason: expect.stringContaining("breaks HTTP/2: ") });
});

const streamFaults: [string, number, Buffer[]][] = [
  ["data before the head", errorCode.protocol, [frame(frameType.data, 0, 1, Buffer.alloc(5))]],
  [
    "trailers that end nothing",
    errorCode.protocol,
    [ok, frame(frameType.headers, endHeaders, 1, literal("a", "b"))],
  ],
  [
    "trailers with a status",
    errorCode.protocol,
    [ok, frame(frameType.headers, endHeaders | endStream, 1, Buffer.from([0x88]))],
  ],
  ["a head without status", errorCode.protocol, [frame(frameType.headers, endHeaders, 1, literal("a", "b"))]],
  [
    "an interim answer that ends all",
    errorCode.protocol,
    [frame(frameType.headers, endHeaders | endStream, 1, literal(":status", "103"))],
  ],
  [
    "a switch of protocols",
    errorCode.protocol,
    [frame(frameType.headers, endHeaders, 1, literal(":status", "101"))],
  ],
  [
    "a header with a line's end",
    errorCode.protocol,
    [frame(frameType.headers, endHeaders, 1, Buffer.concat([Buffer.from([0x88]), literal("a", "b\r\nc")]))],
  ],
  [
    "a window of more than 31 bits",
    errorCode.flowControl,
    [frame(frameType.windowUpdate, 0, 1, uint32(0x7fffffff))],
  ],
  ["a window that grows by nothing", errorCode.protocol, [frame(frameType.windowUpdate, 0, 1, uint32(0))]],
];

test.each(streamFaults)("%s ends the stream, not the connection", async (_title, code, frames) => {
  const { reset, told } = await callTo((socket) => socket.write(Buffer.concat([settings, ...frames])));
  expect(told).toBe(code);
  expect(reset).toMatchObject({ code, unseen: false });
});

test("more data than a stream's window resets it", async () => {
  const part = frame(frameType.data, 0, 1, Buffer.alloc(16_384));
  const parts = Array.from({ length: 2 + streamWindowBytes / 16_384 }, () => part);
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write(Buffer.concat([settings, ok, ...parts])));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  connection = new Http2Connection(
    { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    { onConnected: () => undefined, onGone: () => undefined, onStreamClosed: () => undefined },
  );
  const { stream, over } = openRecorded(connection, [":path", "/"]);
  stream.pause();
  stream.end();
  expect((await over).reset).toMatchObject({ code: errorCode.flowControl });
});

const floods: [string, Buffer, Buffer[]][] = [
  ["pings", frame(frameType.ping, 0, 0, Buffer.alloc(8)), []],
  ["settings", settings, []],
  ["empty data", frame(frameType.data, 0, 1), [ok]],
  ["empty continuations", frame(frameType.continuation, 0, 1), [frame(frameType.headers, 0, 1)]],
  [
    "continuations",
    frame(frameType.continuation, 0, 1, Buffer.alloc(16_000, 0x88)),
    [frame(frameType.headers, 0, 1)],
  ],
  ["priorities", frame(frameType.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1])), []],
];

test.each(floods)(
  "a flood of %s is told to calm down, and memory stays small",
  async (_title, one, before) => {
    const some = Buffer.concat(Array.from({ length: 2_000 }, () => one));
    const heapBefore = process.memoryUsage().rss;
    const { told, reset } = await callTo(async (socket) => {
      socket.write(Buffer.concat([settings, ...before]));
      for (let round = 0; round < 200 && !socket.destroyed; round++) {
        socket.write(some);
        await sleep(0);
      }
    });
    expect(told).toBe(errorCode.enhanceYourCalm);
    expect(reset?.reason).toMatch(/flood|without end/);
    expect(process.memoryUsage().rss - heapBefore).toBeLessThan(300 * 1024 * 1024);
  },
);

test("an answer's headers without measure end the stream", async () => {
  const field = literal("a", "b".repeat(100));
  const parts = Array.from({ length: 5 }, (_, at) =>
    frame(
      at === 0 ? frameType.headers : frameType.continuation,
      at === 4 ? endHeaders : 0,
      1,
      Buffer.concat(Array.from({ length: 150 }, () => field)),
    ),
  );
  const { reset } = await callTo((socket) => socket.write(Buffer.concat([settings, ...parts])));
  expect(reset).toMatchObject({ code: errorCode.protocol, reason: expect.stringContaining("header list") });
});

test("streams that are reset one after the other leave nothing behind", async () => {
  let closed = 0;
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    let next = 1;
    socket.write(settings);
    socket.on("data", (bytes: Buffer) => {
      // One HEADERS frame with END_STREAM's DATA behind it for each call.
      for (
        let at = bytes.indexOf("PRI") === 0 ? 24 : 0;
        at + 9 <= bytes.length;
        at += 9 + bytes.readUIntBE(at, 3)
      ) {
        if (bytes[at + 3] !== frameType.headers) continue;
        socket.write(frame(frameType.reset, 0, next, uint32(errorCode.refusedStream)));
        next += 2;
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  connection = new Http2Connection(
    { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    { onConnected: () => undefined, onGone: () => undefined, onStreamClosed: () => closed++ },
  );
  for (let time = 0; time < 500; time++) {
    const { stream, over } = openRecorded(connection, [":path", "/"]);
    stream.end();
    expect((await over).reset).toMatchObject({ code: errorCode.refusedStream, unseen: true });
  }
  expect(closed).toBe(500);
  expect(connection.load).toBe(0);
});

test("frames of streams that are over are taken in their stride", async () => {
  const trailers = frame(frameType.headers, endHeaders | endStream, 1, literal("grpc-status", "0"));
  const late = [
    frame(frameType.data, 0, 1, Buffer.alloc(100)),
    frame(frameType.reset, 0, 1, uint32(0)),
    frame(frameType.windowUpdate, 0, 1, uint32(5)),
  ];
  const {
    reset,
    told,
    trailers: heard,
  } = await callTo((socket) => socket.write(Buffer.concat([settings, ok, trailers, ...late])));
  expect([reset, told, heard?.["grpc-status"]]).toEqual([undefined, 0, "0"]);
});

const quick = { connectMs: 2_000, settingsMs: 200, pingMs: 50, pongMs: 200 };
const noEvents = { onConnected: () => undefined, onGone: () => undefined, onStreamClosed: () => undefined };

/** Connects to a peer that does as told with each connection, and does not wait long. */
async function connectTo(behaviour: (socket: Socket) => void): Promise<Http2Connection> {
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    behaviour(socket);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  connection = new Http2Connection({ address: `http://127.0.0.1:${port}` }, noEvents, quick);
  return connection;
}

test("a peer that says nothing is given up, and was asked nothing", async () => {
  const { over } = openRecorded(await connectTo((socket) => socket.resume()), [":path", "/"]);
  expect((await over).reset).toMatchObject({ unseen: true, reason: expect.stringContaining("no settings") });
});

test("a peer that answers no ping is given up", async () => {
  const silent = await connectTo((socket) => socket.resume().write(settings));
  const { over } = openRecorded(silent, [":path", "/"]);
  expect((await over).reset).toMatchObject({ code: 0, unseen: false, reason: "the backend answers no ping" });
});

test("a peer that answers pings is not", async () => {
  let pings = 0;
  const alive = await connectTo((socket) => {
    socket.write(settings);
    socket.on("data", (bytes: Buffer) => {
      if (bytes[3] !== frameType.ping) return;
      pings++;
      socket.write(frame(frameType.ping, 1, 0, bytes.subarray(9, 17)));
    });
  });
  const { stream } = openRecorded(alive, [":path", "/"]);
  await expect.poll(() => pings, { timeout: 10_000 }).toBeGreaterThan(3);
  expect(stream.closed).toBe(false);
});

test("a peer that asks and never reads is given up before what waits for it grows", async () => {
  const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8));
  const head = frame(frameType.headers, endHeaders, 1, Buffer.from([0x88]));
  // Data between the pings, so that they are no flood.
  const data = frame(frameType.data, 0, 1, Buffer.from("x"));
  const some = Buffer.concat(Array.from({ length: 500 }, () => [ping, data]).flat());
  const greedy = await connectTo(async (socket) => {
    socket.pause();
    socket.write(Buffer.concat([settings, head]));
    while (!socket.destroyed) {
      if (!socket.write(some))
        await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
    }
  });
  const { stream, over } = openRecorded(greedy, [":path", "/"]);
  stream.end();
  expect((await over).reset).toBeDefined();
});
