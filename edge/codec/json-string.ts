import type { JsonIn } from "./json-in.ts";
import { unusual } from "./unusual.ts";
import type { WireOut } from "./wire-out.ts";

const BACKSLASH = 92;
// Below this length a loop is faster than the call of a native copy.
const copiedByLoop = 48;
/** What stands behind a backslash, and the byte it means. */
const escapes = new Uint8Array(128);
for (const [letter, meant] of Object.entries({
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
})) {
  escapes[letter.charCodeAt(0)] = meant.charCodeAt(0);
}

/** Writes the string that was read last, with its length before it. */
export function writeString(input: JsonIn, out: WireOut): void {
  const { bytes, start, end } = input;
  out.reserve(end - start);
  if (input.escaped) {
    const lengthAt = out.beginLength();
    writeUnescaped(bytes, start, end, out);
    out.endLength(lengthAt);
    return;
  }
  const length = end - start;
  out.varint(length);
  if (length > copiedByLoop) out.buffer.set(bytes.subarray(start, end), out.at);
  else {
    const { buffer, at } = out;
    for (let i = 0; i < length; i++) buffer[at + i] = bytes[start + i] as number;
  }
  out.at += length;
}

function writeUnescaped(bytes: Uint8Array, start: number, end: number, out: WireOut): void {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte !== BACKSLASH) {
      out.byte(byte);
      continue;
    }
    const letter = bytes[++i] as number;
    if (letter === 117) {
      i = writeUnicode(bytes, i + 1, end, out) - 1;
      continue;
    }
    const meant = escapes[letter] ?? 0;
    if (meant === 0) throw unusual;
    out.byte(meant);
  }
}

/** Writes the character of the four digits at `at`, or of two such escapes that are a pair; returns where it ends. */
function writeUnicode(bytes: Uint8Array, at: number, end: number, out: WireOut): number {
  const unit = fourDigits(bytes, at, end);
  if (unit < 0xd800 || unit > 0xdfff) {
    writeCodePoint(unit, out);
    return at + 4;
  }
  const isPair = unit < 0xdc00 && bytes[at + 4] === BACKSLASH && bytes[at + 5] === 117;
  const second = isPair ? fourDigits(bytes, at + 6, end) : 0;
  if (second < 0xdc00 || second > 0xdfff) throw unusual;
  writeCodePoint(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00), out);
  return at + 10;
}

function fourDigits(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) throw unusual;
  let value = 0;
  for (let i = at; i < at + 4; i++) value = value * 16 + digitOf(bytes[i] as number);
  return value;
}

function digitOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  if (letter >= 97 && letter <= 102) return letter - 87;
  throw unusual;
}

function writeCodePoint(point: number, out: WireOut): void {
  if (point < 0x80) out.byte(point);
  else if (point < 0x800) {
    out.byte(0xc0 | (point >> 6));
    out.byte(0x80 | (point & 63));
  } else {
    if (point < 0x10000) out.byte(0xe0 | (point >> 12));
    else {
      out.byte(0xf0 | (point >> 18));
      out.byte(0x80 | ((point >> 12) & 63));
    }
    out.byte(0x80 | ((point >> 6) & 63));
    out.byte(0x80 | (point & 63));
  }
}
