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

const prefixBytes = 5;
// What a message announces is not had before its bytes come.
const firstRoomBytes = 64 * 1024;

/** Cuts messages out of gRPC's length-prefixed stream; holds at most one message of `maxBytes`. Chunks may be lent: messages are copies. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #prefix = [0, 0, 0, 0, 0];
  #prefixed = 0;
  /** Of the message under way. */
  #size = 0;
  #message: Buffer = noBytes;
  #filled = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a message is cut off in the middle. */
  get partial(): boolean {
    return this.#prefixed > 0;
  }

  /** Takes a chunk and hands out each message it completes; returns a fault when the stream must be given up. */
  read(chunk: Buffer, onMessage: (message: Buffer) => void): FrameFault | undefined {
    for (let at = 0; at < chunk.length; ) {
      if (this.#prefixed < prefixBytes) {
        this.#prefix[this.#prefixed++] = chunk[at++] as number;
        if (this.#prefixed < prefixBytes) continue;
        const fault = this.#begin();
        if (fault !== undefined) return fault;
      }
      at += this.#fill(chunk, at);
      if (this.#filled < this.#size) continue;
      const message = this.#message;
      this.#message = noBytes;
      this.#prefixed = 0;
      onMessage(message);
    }
    return undefined;
  }

  #begin(): FrameFault | undefined {
    const [flag, a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    this.#size = a * 0x1000000 + ((b << 16) | (c << 8) | d);
    this.#filled = 0;
    if (flag !== 0) return "compressed";
    return this.#size > this.#maxBytes ? "too-large" : undefined;
  }

  /** Copies what the message still lacks; returns how much there was of it. */
  #fill(chunk: Buffer, at: number): number {
    const bytes = Math.min(this.#size - this.#filled, chunk.length - at);
    const filled = this.#filled + bytes;
    if (filled > this.#message.length) {
      const room = Math.min(this.#size, Math.max(filled, 2 * this.#filled, firstRoomBytes));
      const grown = Buffer.allocUnsafe(room);
      this.#message.copy(grown, 0, 0, this.#filled);
      this.#message = grown;
    }
    chunk.copy(this.#message, this.#filled, at, at + bytes);
    this.#filled = filled;
    return bytes;
  }
}
