import { isUtf8 } from "node:buffer";
import { unusual } from "./unusual.ts";

const QUOTE = 34;
const BACKSLASH = 92;
const ZERO = 48;

// Texts lie side by side in one piece of memory until it is full: an answer that cannot leave holds no more than this.
const slabBytes = 64 * 1024;
const roomBytes = 4 * 1024;
const hex = Buffer.from("0123456789abcdef");
const base64 = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
/** The letter after the backslash for those control characters that have one. */
const shortEscapes = new Uint8Array(32);
shortEscapes.set([98, 116, 110], 8);
shortEscapes.set([102, 114], 12);

/** A text in pieces of eight bytes. */
export interface Words {
  readonly length: number;
  readonly words: Float64Array;
}

/** Prepares a text. UTF-8 has no eight bytes that are a NaN, whose bits a copy need not keep. */
export function toWords(text: string): Words {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.alloc(Math.ceil(length / 8) * 8, 32);
  bytes.write(text);
  const words = new Float64Array(bytes.length / 8);
  for (let i = 0; i < words.length; i++) words[i] = bytes.readDoubleLE(i * 8);
  return { length, words };
}

/** A growing piece of JSON text. */
export class JsonOut {
  #bytes: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  #view = new DataView(this.#bytes.buffer);
  #start = 0;
  #at = 0;

  /** Where the next byte goes, counted from the beginning of the text. */
  get at(): number {
    return this.#at - this.#start;
  }

  /** Begins a text; whatever was written since the last `take` is forgotten. */
  reset(): void {
    if (this.#bytes.length - this.#start < roomBytes || this.#bytes.length > slabBytes) {
      this.#bytes = Buffer.allocUnsafeSlow(slabBytes);
      this.#view = new DataView(this.#bytes.buffer);
      this.#start = 0;
    }
    this.#at = this.#start;
  }

  /** The text; what is written next lies behind it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    return taken;
  }

  /** What was written since a place. */
  textFrom(start: number): string {
    return this.#bytes.toString("latin1", this.#start + start, this.#at);
  }

  /** Makes room for so many bytes; everything below writes without asking, 64 bytes at most beside what it is given. */
  reserve(bytes: number): void {
    if (this.#at + bytes + 64 > this.#bytes.length) this.#move(bytes + 64);
  }

  #move(bytes: number): void {
    const written = this.#at - this.#start;
    const grown = Buffer.allocUnsafeSlow(Math.max(slabBytes, 2 * (written + bytes)));
    this.#bytes.copy(grown, 0, this.#start, this.#at);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#start = 0;
    this.#at = written;
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** Replaces the comma before the first member since `start` by an opening bracket, and closes it. */
  close(start: number, open: number, close: number): void {
    const at = this.#start + start;
    if (this.#at === at) this.#at++;
    this.#bytes[at] = open;
    this.#bytes[this.#at++] = close;
  }

  /** JSON that was prepared as {@link Words}: eight bytes at a time, of which the last may write beyond its end. */
  words({ length, words }: Words): void {
    this.reserve(length);
    const view = this.#view;
    let at = this.#at;
    for (let i = 0; i < words.length; i++, at += 8) view.setFloat64(at, words[i] as number, true);
    this.#at += length;
  }

  /** Bytes that are JSON already. */
  raw(text: Uint8Array): void {
    const { length } = text;
    this.reserve(length);
    const to = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i++) to[at++] = text[i] as number;
    this.#at = at;
  }

  /** UTF-8 as a JSON string. */
  string(from: Uint8Array, start: number, end: number): void {
    this.reserve(6 * (end - start));
    const to = this.#bytes;
    let at = this.#at;
    to[at++] = QUOTE;
    let i = start;
    for (; i < end; i++) {
      const byte = from[i] as number;
      if (byte < 32 || byte > 127 || byte === QUOTE || byte === BACKSLASH) break;
      to[at++] = byte;
    }
    this.#at = i === end ? at : this.#escaped(from, start, i, end, at);
    to[this.#at++] = QUOTE;
  }

  #escaped(from: Uint8Array, start: number, next: number, end: number, outAt: number): number {
    if (!isUtf8(from.subarray(start, end))) throw unusual;
    const to = this.#bytes;
    let at = outAt;
    for (let i = next; i < end; i++) {
      const byte = from[i] as number;
      if (byte >= 32 && byte !== QUOTE && byte !== BACKSLASH) {
        to[at++] = byte;
        continue;
      }
      to[at++] = BACKSLASH;
      const short = byte >= 32 ? byte : (shortEscapes[byte] as number);
      if (short !== 0) to[at++] = short;
      else {
        to[at++] = 117;
        to[at++] = ZERO;
        to[at++] = ZERO;
        to[at++] = ZERO + (byte >> 4);
        to[at++] = hex[byte & 15] as number;
      }
    }
    return at;
  }

  /** Printable ASCII without quotes or backslashes, as it is. */
  ascii(text: string): void {
    this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#at++] = text.charCodeAt(i);
  }

  /** An integer of at most 2^53 in either direction. */
  integer(value: number): void {
    let rest = value;
    if (rest < 0) {
      this.byte(45);
      rest = -rest;
    }
    if (rest < 0x4000_0000) this.#digits(rest | 0, 1);
    else {
      const high = Math.floor(rest / 1e9);
      const low = (rest - high * 1e9) | 0;
      if (high > 0) this.#digits(high | 0, 1);
      this.#digits(low, high > 0 ? 9 : 1);
    }
  }

  /** The digits of a number below 2^31, with zeros in front up to `width`. */
  #digits(value: number, width: number): void {
    let count = 1;
    for (let power = 10; count < 10 && value >= power; power *= 10) count++;
    this.#at += Math.max(count, width);
    let at = this.#at;
    let rest = value;
    for (let i = Math.max(count, width); i > 0; i--) {
      const tenth = (rest / 10) | 0;
      this.#bytes[--at] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
  }

  /** The digits of a number below 2^31, with zeros in front up to `width`. */
  padded(value: number, width: number): void {
    this.#digits(value, width);
  }

  /** Nanoseconds as a fraction of 3, 6 or 9 digits; nothing for none. */
  fraction(nanos: number): void {
    if (nanos === 0) return;
    this.byte(46);
    if (nanos % 1_000_000 === 0) this.#digits((nanos / 1_000_000) | 0, 3);
    else if (nanos % 1_000 === 0) this.#digits((nanos / 1_000) | 0, 6);
    else this.#digits(nanos, 9);
  }

  /** Bytes as a JSON string in base64. */
  base64(from: Uint8Array, start: number, end: number): void {
    this.reserve(2 * (end - start));
    const to = this.#bytes;
    let at = this.#at;
    to[at++] = QUOTE;
    for (let i = start; i < end; i += 3) {
      const left = end - i;
      const three =
        ((from[i] as number) << 16) |
        (left > 1 ? (from[i + 1] as number) << 8 : 0) |
        (left > 2 ? (from[i + 2] as number) : 0);
      to[at++] = base64[three >> 18] as number;
      to[at++] = base64[(three >> 12) & 63] as number;
      to[at++] = left > 1 ? (base64[(three >> 6) & 63] as number) : 61;
      to[at++] = left > 2 ? (base64[three & 63] as number) : 61;
    }
    to[at++] = QUOTE;
    this.#at = at;
  }
}
