import { defaultTableBytes, entryBytes, type HeaderField, HeaderTable, staticFields } from "./hpack-table.ts";
import type { Output } from "./output.ts";

/** Fields that the edge itself writes and that repeat; what callers send is told anew each time, so that it cannot displace them. */
const always = new Set([":method", ":scheme", ":authority", ":path", "te", "content-type"]);
/** Fields that mostly repeat: remembered once the same value has come twice in a row. */
const often = new Set([
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "user-agent",
  "x-forwarded-host",
]);
/**
 * Names of secrets. They are never remembered, nor by whoever passes them on (RFC 7541, 7.1.3): a table shared with other callers'
 * requests lets who can watch sizes guess them.
 */
const secret = /(?:^|[-_])(?:authorization|cookie|token|secret|key|signature|password)(?:$|[-_])/;

// One entry must not displace all others.
const maxIndexedBytes = 512;
const maxKnownNames = 500;
// Below this length a loop is faster than the call of a native copy.
const writtenByLoop = 24;

interface Name {
  /** The beginning of a literal field: how it may be remembered, and its name. */
  readonly literal: Uint8Array;
  /** The index of the name's first static field, 0 for none. */
  readonly staticIndex: number;
  readonly repeats: "always" | "often" | "never";
}

interface Entry extends HeaderField {
  /** How many were inserted before it. */
  readonly order: number;
}

/** Writes header blocks (RFC 7541) of one connection; texts are not Huffman-coded, which saves bytes and costs more time than they do. */
export class HpackEncoder {
  readonly #table = new HeaderTable<Entry>(defaultTableBytes, (entry) => this.#forget(entry));
  readonly #indexed = new Map<string, Map<string, Entry>>();
  readonly #last = new Map<string, string>();
  #inserted = 0;
  /** Sizes of the table that the peer has to be told of: the least since the last block, and today's. */
  #sizes: readonly number[] = [];

  /** Follows the peer's SETTINGS_HEADER_TABLE_SIZE. */
  limit(tableBytes: number): void {
    const maxBytes = Math.min(tableBytes, defaultTableBytes);
    if (maxBytes === this.#table.maxBytes) return;
    const least = Math.min(maxBytes, ...this.#sizes);
    this.#sizes = least < maxBytes ? [least, maxBytes] : [maxBytes];
    this.#table.maxBytes = maxBytes;
  }

  /** The most bytes that these fields (names and values in turn) can take. */
  static mostBytes(fields: readonly string[]): number {
    // Each text needs its length (6 bytes at most), each field a first byte, the block two sizes.
    let bytes = 16 + 8 * fields.length;
    for (const text of fields) bytes += text.length;
    return bytes;
  }

  /** Writes fields to where room has been made for them; a block's first part also tells the table's new size. */
  encode(fields: readonly string[], out: Output): void {
    for (const size of this.#sizes) writeInteger(out, 0x20, 0x1f, size);
    this.#sizes = [];
    for (let at = 0; at < fields.length; at += 2)
      this.#encodeField(fields[at] as string, fields[at + 1] as string, out);
  }

  #encodeField(name: string, value: string, out: Output): void {
    const known = nameOf(name);
    if (known.repeats !== "never") {
      const entry = this.#indexed.get(name)?.get(value);
      if (entry !== undefined) {
        writeInteger(out, 0x80, 0x7f, staticFields.length + this.#inserted - entry.order);
        return;
      }
      const staticIndex = staticIndexOf(known, name, value);
      if (staticIndex !== 0) {
        writeInteger(out, 0x80, 0x7f, staticIndex);
        return;
      }
      if (this.#isWorthIt(name, value, known.repeats)) {
        if (known.staticIndex === 0) {
          writeInteger(out, 0x40, 0x3f, 0);
          writeText(out, name);
        } else writeInteger(out, 0x40, 0x3f, known.staticIndex);
        writeText(out, value);
        this.#remember(name, value);
        return;
      }
    }
    const { literal } = known;
    out.buffer.set(literal, out.at);
    out.at += literal.length;
    writeText(out, value);
  }

  #isWorthIt(name: string, value: string, repeats: "always" | "often"): boolean {
    const bytes = entryBytes(name, value);
    if (bytes > maxIndexedBytes || bytes > this.#table.maxBytes) return false;
    if (repeats === "always" || this.#last.get(name) === value) return true;
    this.#last.set(name, value);
    return false;
  }

  #remember(name: string, value: string): void {
    const entry = { name, value, order: this.#inserted++ };
    this.#table.insert(entry);
    let values = this.#indexed.get(name);
    if (values === undefined) {
      values = new Map();
      this.#indexed.set(name, values);
    }
    values.set(value, entry);
  }

  #forget({ name, value }: Entry): void {
    this.#indexed.get(name)?.delete(value);
  }
}

const names = new Map<string, Name>();

function nameOf(name: string): Name {
  let known = names.get(name);
  if (known === undefined) {
    known = describe(name);
    if (names.size < maxKnownNames) names.set(name, known);
  }
  return known;
}

function describe(name: string): Name {
  const first = secret.test(name) ? 0x10 : 0;
  const staticIndex = 1 + staticFields.findIndex((field) => field.name === name);
  const literal: number[] =
    staticIndex === 0
      ? [first, ...integerBytes(0, 0x7f, name.length), ...Buffer.from(name, "latin1")]
      : integerBytes(first, 0x0f, staticIndex);
  const repeats = always.has(name) ? "always" : often.has(name) ? "often" : "never";
  return { literal: Uint8Array.from(literal), staticIndex, repeats };
}

function staticIndexOf({ staticIndex }: Name, name: string, value: string): number {
  if (staticIndex === 0) return 0;
  for (let index = staticIndex; staticFields[index - 1]?.name === name; index++)
    if (staticFields[index - 1]?.value === value) return index;
  return 0;
}

function integerBytes(first: number, mask: number, value: number): number[] {
  if (value < mask) return [first | value];
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}

function writeInteger(out: Output, first: number, mask: number, value: number): void {
  const { buffer } = out;
  if (value < mask) {
    buffer[out.at++] = first | value;
    return;
  }
  buffer[out.at++] = first | mask;
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) buffer[out.at++] = (rest & 127) | 128;
  buffer[out.at++] = rest;
}

function writeText(out: Output, text: string): void {
  const { length } = text;
  writeInteger(out, 0, 0x7f, length);
  const { buffer, at } = out;
  if (length > writtenByLoop) buffer.write(text, at, "latin1");
  else for (let index = 0; index < length; index++) buffer[at + index] = text.charCodeAt(index);
  out.at = at + length;
}
