import { unusual } from "./unusual.ts";

const QUOTE = 34;
const MINUS = 45;
const BACKSLASH = 92;
// Up to this many digits a double holds every integer.
const safeDigits = 15;
const jsonNumber = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/;
const longText = /^(?:0|-?[1-9][0-9]{0,19})$/;

/** Reads JSON text token by token; whatever is no JSON is unusual. */
export class JsonIn {
  #bytes: Uint8Array = new Uint8Array();
  #pos = 0;
  /** The text of the string that `string` read, without its quotes and with its escapes. */
  start = 0;
  end = 0;
  escaped = false;

  /** Begins to read other text, which must be UTF-8. */
  reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
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

  /** The next byte that is no space; NaN at the end. */
  peek(): number {
    for (;;) {
      const byte = this.#bytes[this.#pos] as number;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) return byte;
      this.#pos++;
    }
  }

  /** Only spaces may be left. */
  finish(): void {
    this.peek();
    if (this.#pos < this.#bytes.length) throw unusual;
  }

  /** Steps over a byte that must come next. */
  expect(byte: number): void {
    if (this.peek() !== byte) throw unusual;
    this.#pos++;
  }

  /** Steps over a byte if it comes next. */
  takes(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.#pos++;
    return true;
  }

  /** Reads a string into `start`, `end` and `escaped`. */
  string(): void {
    this.expect(QUOTE);
    const bytes = this.#bytes;
    let at = this.#pos;
    this.start = at;
    this.escaped = false;
    for (;;) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        this.escaped = true;
        at++;
      } else if (!(byte >= 32)) throw unusual;
      at++;
    }
    this.end = at;
    this.#pos = at + 1;
  }

  /** A word such as `true`. */
  word(text: string): void {
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[this.#pos++] !== text.charCodeAt(i)) throw unusual;
    }
  }

  boolean(): boolean {
    const yes = this.peek() === 116;
    this.word(yes ? "true" : "false");
    return yes;
  }

  /** An integer, in quotes or not, written plainly in at most 15 digits. */
  integer(): number {
    const quoted = this.takes(QUOTE);
    const value = this.#plainInteger();
    if (quoted && this.#bytes[this.#pos++] !== QUOTE) throw unusual;
    return value;
  }

  #plainInteger(): number {
    const bytes = this.#bytes;
    let at = this.#pos;
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    const start = at;
    let value = 0;
    for (; ; at++) {
      const digit = (bytes[at] as number) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    const digits = at - start;
    const odd = digits === 0 || digits > safeDigits || (bytes[start] === 48 && (digits > 1 || negative));
    // A fraction or exponent may still be an integer; others know.
    if (odd || continuesNumber(bytes[at])) throw unusual;
    this.#pos = at;
    return negative ? -value : value;
  }

  /** Whether the integer that comes next is in quotes and longer than a double holds. */
  isLong(): boolean {
    if (this.peek() !== QUOTE) return false;
    const start = this.#pos;
    this.string();
    this.#pos = start;
    return this.end - this.start > safeDigits;
  }

  /** A 64-bit integer in quotes; the range is the caller's to check. */
  long(): bigint {
    this.string();
    const text = this.text();
    if (!longText.test(text)) throw unusual;
    return BigInt(text);
  }

  /** A number that is not in quotes. */
  double(): number {
    this.peek();
    const start = this.#pos;
    while (continuesNumber(this.#bytes[this.#pos])) this.#pos++;
    const text = this.#slice(start, this.#pos);
    const value = Number(text);
    if (!jsonNumber.test(text) || !Number.isFinite(value)) throw unusual;
    return value;
  }

  /** The string that was read last, which must be ASCII and without escapes. */
  text(): string {
    if (this.escaped) throw unusual;
    return this.#slice(this.start, this.end);
  }

  #slice(start: number, end: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + start, end - start).toString("latin1");
  }
}

function continuesNumber(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    ((byte >= 48 && byte <= 57) || byte === 46 || byte === 43 || byte === MINUS || (byte | 32) === 101)
  );
}
