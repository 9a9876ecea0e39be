import http2, { type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { afterEach, expect, test } from "vitest";
import { makeCertificate } from "#edge/tests/certificate.ts";
import { type ConnectionEvents, Http2Connection } from "../connection.ts";
import { errorCode } from "../frames.ts";
import { openRecorded } from "./recorded-stream.ts";

// Node's own server, nghttp2, is the other side: whatever it understands differently is found here.

let server: Http2Server | undefined;
let connection: Http2Connection | undefined;
let gone = 0;
let closedStreams = 0;

const events: ConnectionEvents = {
  onConnected: () => undefined,
  onGone: () => gone++,
  onStreamClosed: () => closedStreams++,
};

type Behaviour = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

async function connect(behaviour: Behaviour, options: http2.ServerOptions = {}): Promise<Http2Connection> {
  gone = closedStreams = 0;
  server = http2.createServer(options);
  server.on("sessionError", () => undefined);
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    behaviour(stream, headers);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  connection = new Http2Connection({ address: `http://127.0.0.1:${port}` }, events);
  return connection;
}

afterEach(() => {
  connection?.close();
  server?.close();
});

/** Echoes the body, and the headers that begin with `x-` as trailers. */
const echo: Behaviour = (stream, headers) => {
  const trailers = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-")));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", ...trailers }));
  stream.pipe(stream);
};

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

test("random requests and answers of one connection arrive as they were sent", async () => {
  const random = randomFrom(11);
  const one = await connect(echo, { settings: { initialWindowSize: 20_000, maxConcurrentStreams: 20 } });
  const text = (length: number) =>
    Array.from({ length }, () => String.fromCharCode(33 + random(94))).join("");
  const calls = Array.from({ length: 300 }, async () => {
    const own = Array.from({ length: random(8) }, (_, at) => [
      `x-${at}-${random(5)}`,
      text(random(200)),
    ]).flat();
    const parts = Array.from({ length: random(4) }, () => Buffer.alloc(random(60_000), random(256)));
    const { stream, over } = openRecorded(one, [":path", `/${random(30)}`, "te", "trailers", ...own]);
    for (const part of parts) stream.write(part);
    stream.end();
    const heard = await over;
    expect(heard.reset).toBeUndefined();
    expect(heard.head?.[":status"]).toBe(200);
    expect(heard.data.equals(Buffer.concat(parts))).toBe(true);
    const trailers = Array.from({ length: own.length / 2 }, (_, at) => [own[2 * at], own[2 * at + 1]]);
    expect({ ...heard.trailers }).toEqual({ "grpc-status": "0", ...Object.fromEntries(trailers) });
  });
  await Promise.all(calls);
  expect(closedStreams).toBe(300);
});

test.each([0, 100, 4_096, 65_536])(
  "a server's header table of %i bytes is respected",
  async (headerTableSize) => {
    const one = await connect(echo, { settings: { headerTableSize } });
    for (let time = 0; time < 50; time++) {
      const { stream, over } = openRecorded(one, [
        ":path",
        `/${time % 7}`,
        "user-agent",
        `a/${time % 3}`,
        "x-n",
        `${time}`,
      ]);
      stream.end();
      expect((await over).trailers?.["x-n"]).toBe(String(time));
    }
  },
);

test("headers larger than a frame go in several, both ways", async () => {
  const one = await connect(echo, { maxHeaderListPairs: 200, settings: { maxHeaderListSize: 100_000 } });
  const long = "v".repeat(40_000);
  const { stream, over } = openRecorded(one, [":path", "/", "x-long", long]);
  stream.end();
  expect((await over).trailers?.["x-long"]).toBe(long);
});

test("a server that sends more than its caller reads has to wait, and others do not", async () => {
  const one = await connect((stream) => {
    stream.resume().respond({ ":status": 200 });
    stream.end(Buffer.alloc(3_000_000, "x"));
  });
  const slow = openRecorded(one, [":path", "/"]);
  slow.stream.pause();
  slow.stream.end();
  for (let time = 0; time < 5; time++) {
    const quick = openRecorded(one, [":path", "/"]);
    quick.stream.end();
    expect((await quick.over).data.length).toBe(3_000_000);
  }
  expect(slow.bytes).toBe(0);
  slow.stream.resume();
  expect((await slow.over).data.length).toBe(3_000_000);
});

test("who sends more than the server reads has to wait, and is told when to go on", async () => {
  let reader: ServerHttp2Stream | undefined;
  const one = await connect((stream) => {
    reader = stream;
    stream.respond({ ":status": 200 });
  });
  const { stream, over, drained } = openRecorded(one, [":path", "/"]);
  const part = Buffer.alloc(50_000, "x");
  let sent = 0;
  while (stream.write(part)) sent += part.length;
  sent += part.length;
  expect(sent).toBeLessThan(1_000_000);
  await expect.poll(() => reader).toBeDefined();
  let received = 0;
  reader?.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  await drained();
  stream.end(Buffer.from("end"));
  await expect.poll(() => received).toBe(sent + 3);
  reader?.end();
  expect((await over).reset).toBeUndefined();
});

test("an abandoned stream is reset, and the server hears of it", async () => {
  const codes: (number | undefined)[] = [];
  const one = await connect((stream) => {
    stream.on("close", () => codes.push(stream.rstCode));
  });
  const { stream } = openRecorded(one, [":path", "/"]);
  stream.write(Buffer.from("x"));
  await expect.poll(() => one.connected).toBe(true);
  stream.reset(errorCode.cancel);
  await expect.poll(() => codes).toEqual([errorCode.cancel]);
  expect(closedStreams).toBe(1);
});

test("requests beyond what the server allows wait for their turn, up to a bound", async () => {
  let open = 0;
  let most = 0;
  const one = await connect(
    (stream) => {
      most = Math.max(most, ++open);
      stream.on("close", () => open--);
      stream.resume().respond({ ":status": 200 });
      setImmediate(() => stream.end());
    },
    { settings: { maxConcurrentStreams: 3 } },
  );
  await openRecordedAndEnd(one);
  most = 0;
  const calls = Array.from({ length: 200 }, () => openRecordedAndEnd(one));
  const dropped = openRecorded(one, [":path", "/"]);
  dropped.stream.reset(errorCode.cancel);
  for (const heard of await Promise.all(calls)) expect(heard.reset).toBeUndefined();
  expect(most).toBe(3);
  let opened = 0;
  const idle = { onHead() {}, onData() {}, onTrailers() {}, onEnd() {}, onDrain() {}, onReset() {} };
  while (one.open([":path", "/"], idle) !== undefined) opened++;
  expect(opened).toBe(1_003);
});

function openRecordedAndEnd(one: Http2Connection) {
  const { stream, over } = openRecorded(one, [":path", "/"]);
  stream.end();
  return over;
}

test("after GOAWAY what the server never saw is told so, the rest comes to its end", async () => {
  const seen: ServerHttp2Stream[] = [];
  const one = await connect((stream) => {
    seen.push(stream);
    stream.resume();
  });
  const first = openRecorded(one, [":path", "/"]);
  first.stream.end();
  await expect.poll(() => seen.length).toBe(1);
  const session = seen[0]?.session;
  session?.goaway(0, 1);
  const second = openRecordedAndEnd(one).catch(() => undefined);
  await expect.poll(() => gone).toBe(1);
  const lost = await second;
  if (lost !== undefined) expect(lost.reset).toMatchObject({ unseen: true });
  expect(one.open([":path", "/"], {} as never)).toBeUndefined();
  seen[0]?.respond({ ":status": 200 }, { endStream: true });
  expect((await first.over).reset).toBeUndefined();
});

test("a lost connection ends its streams, which may have been seen", async () => {
  const one = await connect((stream) => stream.session?.destroy());
  const { over } = openRecorded(one, [":path", "/"]);
  expect((await over).reset).toMatchObject({ code: 0, unseen: false, unconnected: false });
  expect(gone).toBe(1);
});

test("where nobody listens, nothing was seen", async () => {
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  await new Promise((resolve) => taken.close(resolve));
  gone = 0;
  connection = new Http2Connection({ address: `http://127.0.0.1:${port}` }, events);
  const { over } = openRecorded(connection, [":path", "/"]);
  expect((await over).reset).toMatchObject({ unseen: true, unconnected: true });
  expect(gone).toBe(1);
});

test("interim answers are left out, early ones keep their trailers, and a reset says its code", async () => {
  const one = await connect((stream, headers) => {
    stream.resume();
    if (headers[":path"] === "/interim") {
      stream.additionalHeaders({ ":status": 103, link: "x" });
      stream.respond({ ":status": 204 }, { endStream: true });
    } else if (headers[":path"] === "/whole")
      stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
    else stream.close(errorCode.refusedStream);
  });
  const ask = (path: string) => {
    const { stream, over } = openRecorded(one, [":path", path]);
    stream.end();
    return over;
  };
  expect((await ask("/interim")).head?.[":status"]).toBe(204);
  expect((await ask("/whole")).head?.["grpc-status"]).toBe("5");
  expect((await ask("/refused")).reset).toMatchObject({ code: errorCode.refusedStream, unseen: true });
});

test("a closed connection lets open streams end", async () => {
  let answer: (() => void) | undefined;
  const one = await connect((stream) => {
    stream.resume();
    answer = () => stream.respond({ ":status": 200 }, { endStream: true });
  });
  const { stream, over } = openRecorded(one, [":path", "/"]);
  stream.end();
  await expect.poll(() => answer).toBeDefined();
  one.close();
  answer?.();
  expect((await over).head?.[":status"]).toBe(200);
  await new Promise<void>((resolve) => server?.close(() => resolve()));
});

test("over TLS the same holds, where ALPN agrees on HTTP/2 and the certificate is one that counts", async () => {
  const { cert, key } = makeCertificate("localhost");
  const secure = http2.createSecureServer({ cert, key });
  secure.on("stream", echo);
  const other = tls.createServer({ cert, key, ALPNProtocols: ["http/1.1"] });
  const portOf = async (one: typeof secure | typeof other) => {
    await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
    return (one.address() as AddressInfo).port;
  };
  const ask = async (port: number, ca: string | undefined) => {
    const address = `https://localhost:${port}`;
    connection = new Http2Connection({ address, ...(ca && { tls: { ca } }) }, events);
    const { stream, over } = openRecorded(connection, [":path", "/"]);
    stream.end(Buffer.alloc(100_000, "x"));
    const heard = await over;
    connection.close();
    return heard;
  };
  const port = await portOf(secure);
  expect((await ask(port, cert)).data.length).toBe(100_000);
  expect((await ask(port, undefined)).reset).toMatchObject({ unseen: true, unconnected: true });
  expect((await ask(await portOf(other), cert)).reset).toMatchObject({ unseen: true, unconnected: true });
  secure.close();
  other.close();
});
