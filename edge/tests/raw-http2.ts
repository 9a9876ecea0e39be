import net from "node:net";

/** Frame types of HTTP/2. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const endStream = 0x1;
export const endHeaders = 0x4;

/** The bytes with which a client begins, settings included. */
export const clientPreface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameType.settings, 0, 0),
]);

/** One frame as it is on the wire. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** A header block of literals without indexing, as bad or good as its texts. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** The usual headers of a request. */
export function requestHeaders(
  method: string,
  path: string,
  more: readonly (readonly [string, string])[] = [],
): Buffer {
  return headerBlock([
    [":method", method],
    [":scheme", "http"],
    [":path", path],
    [":authority", "shop.test"],
    ...more,
  ]);
}

/** A frame that came back. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** What a connection brought until it was closed, by the other side or, after `patienceMs`, by us. */
export interface Conversation {
  readonly frames: readonly Frame[];
  readonly closedByPeer: boolean;
  readonly tookMs: number;
}

/** Writes to a connection what it is given and reads until its end; `write` may go on writing and stops when it is told that all is over. */
export function converse(
  port: number,
  write: (socket: net.Socket, over: AbortSignal) => void,
  patienceMs: number,
): Promise<Conversation> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const chunks: Buffer[] = [];
    const over = new AbortController();
    const socket = net.connect(port, "127.0.0.1", () => write(socket, over.signal));
    let patient = true;
    const late = setTimeout(() => {
      patient = false;
      socket.destroy();
    }, patienceMs);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(late);
      over.abort();
      resolve({
        frames: framesOf(Buffer.concat(chunks)),
        closedByPeer: patient,
        tookMs: performance.now() - startedMs,
      });
    });
  });
}

/** Cuts what came into frames; one that is not whole yet shows what there is of it. */
export function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const size = bytes.readUIntBE(at, 3);
    const payload = bytes.subarray(at + 9, at + 9 + size);
    frames.push({
      type: bytes[at + 3] ?? 0,
      flags: bytes[at + 4] ?? 0,
      streamId: bytes.readUInt32BE(at + 5),
      payload,
    });
    at += 9 + size;
  }
  return frames;
}
