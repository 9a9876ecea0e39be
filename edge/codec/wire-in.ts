import { unusual } from "./unusual.ts";

const TWO_TO_32 = 4_294_967_296;

/** Reads protobuf's wire format; whatever is cut off or malformed is unusual. */
export class WireIn {
  #bytes: Uint8Array = new Uint8Array();
  /** Made when it is needed, which is seldom. */
  #view: DataView | undefined = undefined;
  #pos = 0;
  /** The low and high half of what `long` read. */
  low = 0;
  high = 0;

  /** Begins to read other bytes. */
  reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = undefined;
    this.#pos = 0;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get pos(): number {
    return this.#pos;
  }

  set pos(pos: number) {
    this.#pos = pos;
  }

  /** A varint's low 32 bits as an unsigned number. */
  varint(): number {
    const first = this.#bytes[this.#pos] as number;
    if (first < 128) {
      this.#pos++;
      this.high = 0;
      return first;
    }
    this.long();
    return this.low;
  }

  /** A varint that must fit 32 bits in five bytes: a tag or a length. */
  short(): number {
    const start = this.#pos;
    const value = this.varint();
    if (this.high !== 0 || this.#pos - start > 5) throw unusual;
    return value;
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  long(): void {
    const bytes = this.#bytes;
    let pos = this.#pos;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 63 || pos >= bytes.length) throw unusual;
      const byte = bytes[pos++] as number;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 128) break;
    }
    this.#pos = pos;
    this.low = low >>> 0;
    this.high = high >>> 0;
  }

  /** Undoes zigzag on what `long` read. */
  unzigzag(): void {
    const sign = -(this.low & 1);
    const low = ((this.low >>> 1) | (this.high << 31)) ^ sign;
    this.high = ((this.high >>> 1) ^ sign) >>> 0;
    this.low = low >>> 0;
  }

  /** Reads eight bytes into `low` and `high`. */
  fixedLong(): void {
    const at = this.#skipTo(8);
    this.low = this.#viewed().getUint32(at, true);
    this.high = this.#viewed().getUint32(at + 4, true);
  }

  fixed(): number {
    return this.#viewed().getUint32(this.#skipTo(4), true);
  }

  double(): number {
    return this.#viewed().getFloat64(this.#skipTo(8), true);
  }

  float(): number {
    return this.#viewed().getFloat32(this.#skipTo(4), true);
  }

  #viewed(): DataView {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#view;
  }

  /** A length prefix; returns where what it announces ends, `end` at most. */
  lengthEnd(end: number): number {
    const length = this.short();
    const at = this.#pos + length;
    if (at > end) throw unusual;
    return at;
  }

  /** Steps over a value of a field the contract does not know. */
  skip(wireType: number, end: number): void {
    switch (wireType) {
      case 0:
        this.long();
        break;
      case 1:
        this.#skipTo(8);
        break;
      case 2:
        this.#pos = this.lengthEnd(end);
        break;
      case 5:
        this.#skipTo(4);
        break;
      default:
        throw unusual;
    }
  }

  #skipTo(bytes: number): number {
    const at = this.#pos;
    if (at + bytes > this.#bytes.length) throw unusual;
    this.#pos = at + bytes;
    return at;
  }

  /** What `long` read as a number; undefined where no double holds it exactly. */
  exact(signed: boolean): number | undefined {
    if (this.high < 0x20_0000) return this.high * TWO_TO_32 + this.low;
    const high = this.high | 0;
    return signed && high < 0 && high >= -0x20_0000 ? high * TWO_TO_32 + this.low : undefined;
  }
}
