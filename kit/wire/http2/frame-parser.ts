import { connectionFault, headBytes, maxFrameBytes, maxUint31, readUint32 } from "./frames.ts";

/** Takes one whole frame, whose payload lies from `start` to `end` and is only lent; false stops reading. */
export type FrameTaker = (
  type: number,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
) => boolean;

/** Cuts what a connection brings into frames; holds at most one frame that is not whole yet. */
export class FrameParser {
  readonly #take: FrameTaker;
  /** The beginning of a frame whose end is still to come. */
  #held: Buffer | undefined;
  #heldBytes = 0;

  constructor(take: FrameTaker) {
    this.#take = take;
  }

  /** Takes the next bytes; throws an {@link Http2Error} for a frame larger than we allow. */
  read(bytes: Buffer): void {
    let at = this.#heldBytes === 0 ? 0 : this.#complete(bytes);
    while (at !== -1 && bytes.length - at >= headBytes) {
      const end = at + headBytes + lengthAt(bytes, at);
      if (end > bytes.length) break;
      if (!this.#handOut(bytes, at, end)) return;
      at = end;
    }
    if (at !== -1 && at < bytes.length) this.#hold(bytes, at, bytes.length);
  }

  /** Adds to the frame that was not whole; returns where the next one begins, or -1 for no more. */
  #complete(bytes: Buffer): number {
    let at = 0;
    if (this.#heldBytes < headBytes) {
      at = Math.min(headBytes - this.#heldBytes, bytes.length);
      this.#hold(bytes, 0, at);
      if (this.#heldBytes < headBytes) return -1;
    }
    const held = this.#held as Buffer;
    const whole = headBytes + lengthAt(held, 0);
    const end = Math.min(bytes.length, at + whole - this.#heldBytes);
    this.#hold(bytes, at, end);
    if (this.#heldBytes < whole) return -1;
    this.#heldBytes = 0;
    return this.#handOut(held, 0, whole) ? end : -1;
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    this.#held ??= Buffer.allocUnsafeSlow(headBytes + maxFrameBytes);
    bytes.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes += end - start;
  }

  #handOut(bytes: Buffer, at: number, end: number): boolean {
    const streamId = readUint32(bytes, at + 5) & maxUint31;
    return this.#take(bytes[at + 3] as number, bytes[at + 4] as number, streamId, bytes, at + headBytes, end);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  if (length > maxFrameBytes) throw connectionFault("frameSize", `a frame of ${length} bytes`);
  return length;
}
