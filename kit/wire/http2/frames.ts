/** Frame types of HTTP/2 (RFC 9113, 6). */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags; which one a bit is depends on the frame's type. */
export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Error codes (RFC 9113, 7). */
export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  connect: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
} as const;

/** Bytes before a frame's payload. */
export const headBytes = 9;
/** The largest payload that may be sent unasked; we never ask for more. */
export const maxFrameBytes = 16_384;
/** Stream ids and windows have 31 bits. */
export const maxUint31 = 0x7fff_ffff;

/** What the peer did against the protocol, and where it has to end: one stream, or the connection. */
export class Http2Error extends Error {
  readonly code: number;
  /** The stream that ends by it; 0 for the whole connection. */
  readonly streamId: number;

  constructor(code: number, message: string, streamId = 0) {
    super(message);
    this.name = "Http2Error";
    this.code = code;
    this.streamId = streamId;
  }
}

/** A fault that ends the connection. */
export function connectionFault(code: keyof typeof errorCode, message: string): Http2Error {
  return new Http2Error(errorCode[code], message);
}

/** A fault that ends one stream. */
export function streamFault(code: keyof typeof errorCode, streamId: number, message: string): Http2Error {
  return new Http2Error(errorCode[code], message, streamId);
}

/** An unsigned number of four bytes. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

/** Writes an unsigned number of four bytes. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** What a frame's nine bytes say. */
export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** Bytes of the payload. */
  readonly length: number;
}

/** Writes a frame's head. */
export function writeHead(bytes: Uint8Array, at: number, { type, flags, streamId, length }: FrameHead): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  writeUint32(bytes, at + 5, streamId);
}
