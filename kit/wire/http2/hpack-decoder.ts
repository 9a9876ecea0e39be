import { connectionFault } from "./frames.ts";
import { defaultTableBytes, type HeaderField, HeaderTable, staticFields } from "./hpack-table.ts";
import { decodeHuffman } from "./huffman.ts";

/** Takes the fields of a header block one by one. */
export interface FieldTaker {
  take(name: string, value: string): void;
}

// Four bytes after the first: more than any length or index that can be right, and exact in 32 bits.
const maxShift = 28;

/** Reads header blocks (RFC 7541) of one connection, which must all pass through it, in order. */
export class HpackDecoder {
  readonly #table = new HeaderTable(defaultTableBytes);
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /**
   * Hands out the fields of a whole block.
   * @throws Http2Error (the connection's end) for whatever cannot be decoded.
   */
  decode(bytes: Buffer, start: number, end: number, taker: FieldTaker): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#readSizeUpdates();
    while (this.#at < this.#end) {
      const first = bytes[this.#at] as number;
      if (first >= 0x80) {
        const { name, value } = this.#fieldAt(this.#readInteger(0x7f));
        taker.take(name, value);
      } else if (first >= 0x40) {
        const field = this.#readLiteral(0x3f);
        this.#table.insert(field);
        taker.take(field.name, field.value);
      } else if (first >= 0x20) {
        throw connectionFault("compression", "the table's size changes within a header block");
      } else {
        const { name, value } = this.#readLiteral(0x0f);
        taker.take(name, value);
      }
    }
  }

  /** They come first. We never ask for another size than the default, which the peer may use less of. */
  #readSizeUpdates(): void {
    for (let updates = 0; this.#at < this.#end; updates++) {
      const first = this.#bytes[this.#at] as number;
      if (first < 0x20 || first >= 0x40) return;
      const maxBytes = this.#readInteger(0x1f);
      if (maxBytes > defaultTableBytes || updates === 2)
        throw connectionFault("compression", "the table's size changes beyond what was agreed");
      this.#table.maxBytes = maxBytes;
    }
  }

  #readLiteral(mask: number): HeaderField {
    const index = this.#readInteger(mask);
    const name = index === 0 ? this.#readText() : this.#fieldAt(index).name;
    return { name, value: this.#readText() };
  }

  #fieldAt(index: number): HeaderField {
    const field =
      index <= staticFields.length
        ? staticFields[index - 1]
        : this.#table.at(index - staticFields.length - 1);
    if (field === undefined) throw connectionFault("compression", `no field has the index ${index}`);
    return field;
  }

  #readText(): string {
    if (this.#at >= this.#end) throw brokenOff();
    const isHuffman = (this.#bytes[this.#at] as number) >= 0x80;
    const length = this.#readInteger(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw brokenOff();
    this.#at = end;
    return isHuffman ? decodeHuffman(this.#bytes, start, end) : this.#bytes.toString("latin1", start, end);
  }

  /** An integer whose first bits are those of `mask`. */
  #readInteger(mask: number): number {
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < maxShift; shift += 7) {
      if (this.#at >= this.#end) throw brokenOff();
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw connectionFault("compression", "an integer without end");
  }
}

function brokenOff() {
  return connectionFault("compression", "a header block is broken off");
}
