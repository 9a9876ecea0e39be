import { writeBytes } from "./json-base64.ts";
import { JsonIn } from "./json-in.ts";
import { writeString } from "./json-string.ts";
import { Kind, wireTypeOf } from "./kind.ts";
import { findName, type NameIndex, stepHash } from "./name-index.ts";
import { writeNumber } from "./request-number.ts";
import type { RequestField, RequestTable, RequestValue } from "./request-table.ts";
import { writeDuration, writeTimestamp } from "./request-time.ts";
import { unusual } from "./unusual.ts";
import { WireOut } from "./wire-out.ts";

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const TRUE = 1;

/** Writes requests in binary while it reads their JSON, without making a JSON value or a message object. */
export class RequestReader {
  readonly #in = new JsonIn();
  readonly #out = new WireOut();
  #depth = 0;
  #maxDepth = 0;

  /** The message that was read. */
  take(): Buffer {
    return this.#out.take();
  }

  /** Begins a message. */
  reset(maxDepth: number): void {
    this.#out.reset();
    this.#depth = 0;
    this.#maxDepth = maxDepth;
  }

  /** Reads a whole JSON text as a message; throws {@link unusual} for whatever the contract or JSON does not know, and for nulls. */
  readMessage(table: RequestTable, json: Uint8Array): void {
    this.#in.reset(json);
    this.#message(table);
    this.#in.finish();
  }

  /** Reads a whole JSON text as the value of a field. */
  readField(field: RequestField, json: Uint8Array): void {
    this.#in.reset(json);
    this.#field(field);
    this.#in.finish();
  }

  /** Adds a string field that did not come in JSON. */
  writeText(number: number, text: string): void {
    const out = this.#out;
    out.reserve(3 * text.length);
    out.varint(((number << 3) | 2) >>> 0);
    const start = out.beginLength();
    out.utf8(text);
    out.endLength(start);
  }

  #open(bracket: number): void {
    if (++this.#depth > this.#maxDepth) throw unusual;
    this.#in.expect(bracket);
  }

  #message({ names }: RequestTable): void {
    if (names === undefined) throw unusual;
    this.#open(123);
    let low = 0;
    let high = 0;
    if (!this.#in.takes(125)) {
      do {
        const field = this.#name(names);
        if (field === undefined) throw unusual;
        const { bits, excludes } = field;
        if (((low & excludes[0]) | (high & excludes[1])) !== 0) throw unusual;
        low |= bits[0];
        high |= bits[1];
        this.#in.expect(COLON);
        this.#field(field);
      } while (this.#in.takes(COMMA));
      this.#in.expect(125);
    }
    this.#depth--;
  }

  /** Reads a string that should be one of a few; undefined where it is none of them or has escapes. */
  #name<T>(names: NameIndex<T>): T | undefined {
    this.#in.expect(QUOTE);
    const { bytes, pos } = this.#in;
    let hash = 0;
    let at = pos;
    for (; ; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) break;
      if (byte === undefined) throw unusual;
      hash = stepHash(hash, byte);
    }
    this.#in.pos = at + 1;
    return findName(names, hash, bytes, pos, at)?.value;
  }

  #field(field: RequestField): void {
    if (field.key !== undefined) this.#map(field, field.key);
    else if (field.list) this.#list(field);
    else {
      const out = this.#out;
      const start = out.at;
      out.reserve(0);
      out.varint(field.tag);
      const valueAt = out.at;
      this.#value(field.value);
      if (field.hidesZero && isZero(out, valueAt)) out.at = start;
    }
  }

  #list(field: RequestField): void {
    const out = this.#out;
    this.#open(91);
    if (!this.#in.takes(93)) {
      if (field.packed) {
        out.reserve(0);
        out.varint(field.tag);
        const start = out.beginLength();
        do this.#element(field.value);
        while (this.#in.takes(COMMA));
        out.endLength(start);
      } else {
        do {
          out.reserve(0);
          out.varint(field.tag);
          this.#value(field.value);
        } while (this.#in.takes(COMMA));
      }
      this.#in.expect(93);
    }
    this.#depth--;
  }

  #element(value: RequestValue): void {
    this.#out.reserve(0);
    this.#value(value);
  }

  #map(field: RequestField, key: RequestValue): void {
    const out = this.#out;
    this.#open(123);
    const seen = new Set<string>();
    if (!this.#in.takes(125)) {
      do {
        out.reserve(0);
        out.varint(field.tag);
        const start = out.beginLength();
        const name = this.#mapKey(key);
        if (name === "__proto__" || seen.has(name)) throw unusual;
        seen.add(name);
        this.#in.expect(COLON);
        out.reserve(0);
        out.varint(16 | wireTypeOf(field.value.kind));
        this.#value(field.value);
        out.endLength(start);
      } while (this.#in.takes(COMMA));
      this.#in.expect(125);
    }
    this.#depth--;
  }

  /** Writes an entry's key; two spellings of one key have escapes or signs, and those are unusual. */
  #mapKey(key: RequestValue): string {
    const input = this.#in;
    const out = this.#out;
    input.peek();
    const at = input.pos;
    input.string();
    const name = input.text();
    out.varint(8 | wireTypeOf(key.kind));
    if (key.kind === Kind.STRING) writeString(input, out);
    else if (key.kind === Kind.BOOL) {
      if (name !== "true" && name !== "false") throw unusual;
      out.byte(name === "true" ? TRUE : 0);
    } else {
      input.pos = at;
      writeNumber(key.kind, input, out);
    }
    return name;
  }

  #value(value: RequestValue): void {
    const input = this.#in;
    const out = this.#out;
    switch (value.kind) {
      case Kind.STRING:
        input.string();
        writeString(input, out);
        break;
      case Kind.MESSAGE: {
        const start = out.beginLength();
        this.#message(value.table as RequestTable);
        out.endLength(start);
        break;
      }
      case Kind.ENUM:
        this.#enum(value);
        break;
      case Kind.BOOL:
        out.byte(input.boolean() ? TRUE : 0);
        break;
      case Kind.BYTES:
        writeBytes(input, out);
        break;
      case Kind.TIMESTAMP:
        writeTimestamp(input, out);
        break;
      case Kind.DURATION:
        writeDuration(input, out);
        break;
      case Kind.WRAPPER: {
        const start = out.beginLength();
        this.#field((value.table as RequestTable).only as RequestField);
        out.endLength(start);
        break;
      }
      case Kind.OTHER:
      case Kind.MAP:
        throw unusual;
      default:
        writeNumber(value.kind, input, out);
    }
  }

  #enum({ names, numbers }: RequestValue): void {
    const input = this.#in;
    let number: number | undefined;
    if (input.peek() === QUOTE) number = names && this.#name(names);
    else {
      number = input.integer();
      if (number !== (number | 0) || numbers?.has(number) === false) throw unusual;
    }
    if (number === undefined) throw unusual;
    if (number < 0) this.#out.long(BigInt(number));
    else this.#out.varint(number);
  }
}

/** Whether what was written since `start` says zero, in whichever wire type. */
function isZero({ buffer, at }: WireOut, start: number): boolean {
  for (let i = start; i < at; i++) if (buffer[i] !== 0) return false;
  return true;
}
