import type { JsonIn } from "./json-in.ts";
import { unusual } from "./unusual.ts";
import type { WireOut } from "./wire-out.ts";

const PADDING = 61;
const noDigit = 255;
const digits = new Uint8Array(256).fill(noDigit);
for (const [value, letter] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries()) {
  digits[letter.charCodeAt(0)] = value;
}

/** Writes the bytes of the base64 string that comes next, with their length; standard and padded, others are unusual. */
export function writeBytes(input: JsonIn, out: WireOut): void {
  input.string();
  const { bytes, start, end } = input;
  if (input.escaped || (end - start) % 4 !== 0) throw unusual;
  out.reserve(end - start);
  const lengthAt = out.beginLength();
  for (let i = start; i < end; i += 4) {
    const padding = i + 4 < end || bytes[i + 3] !== PADDING ? 0 : bytes[i + 2] === PADDING ? 2 : 1;
    const three =
      (digit(bytes[i]) << 18) |
      (digit(bytes[i + 1]) << 12) |
      (padding > 1 ? 0 : digit(bytes[i + 2]) << 6) |
      (padding > 0 ? 0 : digit(bytes[i + 3]));
    out.byte(three >> 16);
    if (padding < 2) out.byte(three >> 8);
    if (padding < 1) out.byte(three);
  }
  out.endLength(lengthAt);
}

function digit(letter: number | undefined): number {
  const value = digits[letter ?? 0] ?? noDigit;
  if (value === noDigit) throw unusual;
  return value;
}
