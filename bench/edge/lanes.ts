// How requests are sent: each lane carries one at a time, over REST a connection of its own, over gRPC a stream of a shared one.

import http2, { type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { frameMessage } from "#kit/wire/grpc-frame.ts";
import type { BenchCall } from "./calls.ts";

const noBytes = Buffer.alloc(0);

/** Sends one request at a time. */
export interface Lane {
  /** Calls back when the whole answer is there; a wrong answer ends the benchmark. */
  send(done: () => void): void;
  close(): void;
}

/** A connection that repeats one request; it is opened when it is needed, since gateways close those that say nothing. */
export function restLane(port: number, request: Buffer): Lane {
  let socket: Socket | undefined;
  let received: Buffer = noBytes;
  let waiting: (() => void) | undefined;
  const onData = (chunk: Buffer): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    if (!isComplete(received)) return;
    received = noBytes;
    const done = waiting;
    waiting = undefined;
    done?.();
  };
  const onClose = (): void => {
    if (waiting !== undefined) throw new Error("the gateway closed a connection under a request");
    socket = undefined;
  };
  return {
    send(done) {
      waiting = done;
      socket ??= connect({ port, host: "127.0.0.1", noDelay: true }).on("data", onData).on("close", onClose);
      socket.write(request);
    },
    close: () => socket?.destroy(),
  };
}

/** Whether the bytes are a whole 2xx answer; throws for any other status. */
function isComplete(bytes: Buffer): boolean {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  const head = bytes.toString("latin1", 0, headEnd);
  if (!/^HTTP\/1\.1 2/.test(head)) throw new Error(`the gateway answered ${bytes.toString()}`);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return bytes.length >= headEnd + 4 + Number(length);
  return bytes.subarray(-5).equals(lastChunk);
}

const lastChunk = Buffer.from("0\r\n\r\n");

/** The bytes of a request to a gateway that speaks REST, or to one that speaks Connect. */
export function requestBytes(call: BenchCall, connect: boolean, headers: readonly string[]): Buffer {
  const body = connect ? call.requestJson : call.body;
  const line = connect ? `POST ${call.path}` : `${call.httpMethod} ${call.target}`;
  const typed = body.length === 0 ? [] : ["content-type: application/json", `content-length: ${body.length}`];
  const protocol = connect ? ["connect-protocol-version: 1"] : [];
  const head = [`${line} HTTP/1.1`, "host: shop.example", ...typed, ...protocol, ...headers, "", ""];
  return Buffer.concat([Buffer.from(head.join("\r\n")), body]);
}

/** Lanes that share one HTTP/2 connection, each repeating a gRPC call. */
export function grpcLanes(port: number, call: BenchCall, headers: readonly string[], count: number): Lane[] {
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1_048_576 } });
  session.on("error", (error) => {
    throw error;
  });
  const frame = frameMessage(call.requestBytes);
  const pairs = headers.map((header) => header.split(": ") as [string, string]);
  const all = {
    ":method": "POST",
    ":path": call.path,
    te: "trailers",
    "content-type": "application/grpc",
    ...Object.fromEntries(pairs),
  };
  return Array.from({ length: count }, () => grpcLane(session, all, frame));
}

function grpcLane(session: ClientHttp2Session, headers: Record<string, string>, frame: Buffer): Lane {
  return {
    send(done) {
      const stream = session.request(headers);
      let status: unknown;
      stream.on("response", (sent) => {
        status = sent["grpc-status"] ?? status;
      });
      stream.on("trailers", (sent) => {
        status = sent["grpc-status"];
      });
      stream.on("end", () => {
        if (status !== "0") throw new Error(`the gateway answered gRPC status ${status}`);
        done();
      });
      stream.resume();
      stream.end(frame);
    },
    close: () => session.close(),
  };
}

/** Sends `count` requests, each lane its next as soon as it has its answer. */
export function sendClosed(lanes: readonly Lane[], count: number): Promise<void> {
  let left = count;
  let pending = lanes.length;
  return new Promise((resolve) => {
    const next = (lane: Lane): void => {
      if (left-- > 0) lane.send(() => next(lane));
      else if (--pending === 0) resolve();
    };
    for (const lane of lanes) next(lane);
  });
}

const tickMs = 1;

/** Sends so many requests a second, whether or not answers come, for a time; resolves to the latencies in milliseconds. */
export function sendOpen(lanes: readonly Lane[], perSecond: number, forMs: number): Promise<number[]> {
  const latenciesMs: number[] = [];
  const free = [...lanes];
  const waiting: number[] = [];
  const startedAt = performance.now();
  let sent = 0;
  return new Promise((resolve) => {
    const go = (): void => {
      while (free.length > 0 && waiting.length > 0) {
        const lane = free.pop() as Lane;
        const dueAt = waiting.shift() as number;
        lane.send(() => {
          latenciesMs.push(performance.now() - dueAt);
          free.push(lane);
          go();
        });
      }
      if (sent < 0 && waiting.length === 0 && free.length === lanes.length) resolve(latenciesMs);
    };
    const ticks = setInterval(() => {
      const now = performance.now();
      const due = Math.floor(((Math.min(now - startedAt, forMs) * perSecond) / 1_000) | 0);
      for (; sent < due; sent++) waiting.push(now);
      if (now - startedAt >= forMs) {
        clearInterval(ticks);
        sent = -1;
      }
      go();
    }, tickMs);
  });
}
