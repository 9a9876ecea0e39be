/** Why a stream of messages cannot go on. */
export type MeterFault = "too-large" | "compressed";

/** Watches gRPC's length prefixes go by without keeping the messages. */
export class MessageMeter {
  readonly #maxBytes: number;
  #prefix = 0;
  #prefixBytes = 0;
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a message is cut off in the middle. */
  get partial(): boolean {
    return this.#left > 0 || this.#prefixBytes > 0;
  }

  /** Takes the next chunk; a fault as soon as a message announces more than `maxBytes`, or a compression that was not declared. */
  read(chunk: Buffer): MeterFault | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++] ?? 0;
      // The first of the five bytes is the compression flag; the other four are the length.
      if (this.#prefixBytes++ === 0) {
        if (byte !== 0) return "compressed";
        this.#prefix = 0;
      } else this.#prefix = this.#prefix * 256 + byte;
      if (this.#prefixBytes < 5) continue;
      if (this.#prefix > this.#maxBytes) return "too-large";
      this.#left = this.#prefix;
      this.#prefixBytes = 0;
    }
    return undefined;
  }
}
