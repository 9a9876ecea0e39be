const noBytes = Buffer.alloc(0);

/** Puts gRPC's five-byte prefix before a message, in one buffer and so in one DATA frame. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** Why a stream of frames was given up. */
export type FrameFault = "compressed" | "too-large";

/** Cuts messages out of gRPC's length-prefixed stream; holds at most one message of `maxBytes`. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = noBytes;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a message is cut off in the middle. */
  get partial(): boolean {
    return this.#pendingBytes > 0 || this.#rest.length > 0;
  }

  /** Takes a chunk and hands out each message it completes; returns a fault when the stream must be given up. */
  read(chunk: Buffer, onMessage: (message: Buffer) => void): FrameFault | undefined {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#rest.length + this.#pendingBytes < this.#wanted()) return undefined;
    let bytes = this.#gather();
    while (bytes.length >= 5) {
      const size = bytes.readUInt32BE(1);
      if (bytes[0] !== 0) return "compressed";
      if (size > this.#maxBytes) return "too-large";
      if (bytes.length < 5 + size) break;
      const message = bytes.subarray(5, 5 + size);
      bytes = bytes.subarray(5 + size);
      onMessage(message);
    }
    this.#rest = bytes;
    return undefined;
  }

  /** Bytes needed before another look can give a message, so that a big one is joined once, not per chunk. */
  #wanted(): number {
    return this.#rest.length < 5 ? 5 : 5 + this.#rest.readUInt32BE(1);
  }

  #gather(): Buffer {
    const parts = this.#rest.length === 0 ? this.#pending : [this.#rest, ...this.#pending];
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    this.#pending = [];
    this.#pendingBytes = 0;
    return bytes;
  }
}
