/** Watches gRPC's length prefixes go by without keeping the messages. */
export class MessageMeter {
  readonly #maxBytes: number;
  #prefix = 0;
  #prefixBytes = 0;
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next chunk; false as soon as a message announces more than `maxBytes`. */
  admits(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      // The first of the five bytes is the compression flag; the other four are the length.
      this.#prefix = this.#prefixBytes === 0 ? 0 : this.#prefix * 256 + (chunk[at] ?? 0);
      this.#prefixBytes++;
      at++;
      if (this.#prefixBytes < 5) continue;
      if (this.#prefix > this.#maxBytes) return false;
      this.#left = this.#prefix;
      this.#prefixBytes = 0;
    }
    return true;
  }
}
