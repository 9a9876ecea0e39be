import { maxUint31 } from "./frames.ts";
import { defaultWindowBytes } from "./settings.ts";

/** What we may still send. */
export class SendWindow {
  /** Below zero after the peer has taken back what had been used already. */
  bytes: number;

  constructor(bytes: number = defaultWindowBytes) {
    this.bytes = bytes;
  }

  /** More room, or less where a setting changed; false where it is more than a window may hold. */
  grow(bytes: number): boolean {
    this.bytes += bytes;
    return this.bytes <= maxUint31;
  }
}

/** What the peer may still send; told to it in few big steps. */
export class ReceiveWindow {
  readonly #size: number;
  #left: number;
  /** Read, and not yet given back. */
  #read = 0;

  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Counts what has come; false where it is more than the peer may send. */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Counts what has been read on; returns what to give back to the peer now, 0 while it is too little to tell. */
  consume(bytes: number): number {
    this.#read += bytes;
    if (this.#read * 2 < this.#size) return 0;
    const back = this.#read;
    this.#read = 0;
    this.#left += back;
    return back;
  }
}
