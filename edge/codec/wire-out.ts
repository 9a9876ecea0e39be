const firstBytes = 64 * 1024;
// A larger one is given back after use: one big request must not hold memory for good.
const keptBytes = 1024 * 1024;
const TWO_TO_32 = 4_294_967_296;

/** A growing piece of protobuf's wire format, kept from one use to the next. */
export class WireOut {
  #bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes);
  #at = 0;

  /** Where the next byte goes; going back forgets what was written since. */
  get at(): number {
    return this.#at;
  }

  set at(at: number) {
    this.#at = at;
  }

  /** Begins a message. */
  reset(): void {
    this.#at = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = Buffer.allocUnsafeSlow(firstBytes);
  }

  /** A copy of the message, which is small: requests are, and one that waits must hold no more than itself. */
  take(): Buffer {
    const taken = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(taken, 0, 0, this.#at);
    return taken;
  }

  /** Makes room for so many bytes; everything below writes without asking, 64 bytes at most beside what it is given. */
  reserve(bytes: number): void {
    const needed = this.#at + bytes + 64;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** The buffer behind, for a loop that writes many bytes; `reserve` replaces it. */
  get buffer(): Buffer {
    return this.#bytes;
  }

  /** An unsigned number of at most 53 bits. */
  varint(value: number): void {
    let rest = value;
    while (rest >= TWO_TO_32) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    rest >>>= 0;
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** A varint of 64 bits, of which negative numbers take all. */
  long(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > 127n) {
      this.#bytes[this.#at++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#at++] = Number(rest);
  }

  fixed(value: number): void {
    this.#at = this.#bytes.writeUInt32LE(value >>> 0, this.#at);
  }

  fixedLong(value: bigint): void {
    this.#at = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#at);
  }

  double(value: number): void {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  float(value: number): void {
    this.#at = this.#bytes.writeFloatLE(value, this.#at);
  }

  utf8(text: string): void {
    this.#at += this.#bytes.write(text, this.#at);
  }

  /** Leaves one byte for the length of what follows; returns where that begins, for `endLength`. */
  beginLength(): number {
    this.reserve(0);
    return ++this.#at;
  }

  /** Writes the length of all since `start` before it, moving it where one byte is not enough. */
  endLength(start: number): void {
    const length = this.#at - start;
    if (length < 128) {
      this.#bytes[start - 1] = length;
      return;
    }
    this.reserve(0);
    const more = length < 16_384 ? 1 : length < 2_097_152 ? 2 : length < 268_435_456 ? 3 : 4;
    this.#bytes.copyWithin(start + more, start, this.#at);
    this.#at = start - 1;
    this.varint(length);
    this.#at += length;
  }
}
