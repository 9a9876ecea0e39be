import { createRegistry, type DescMessage, fromBinary, type Registry, toJson } from "@bufbuild/protobuf";
import { jsonText } from "../json/json-text.ts";
import { isLong, writeInteger, writeNumber } from "./answer-number.ts";
import type { AnswerField, AnswerTable, AnswerValue } from "./answer-table.ts";
import { writeDuration, writeTimestamp } from "./answer-time.ts";
import { JsonOut } from "./json-out.ts";
import { Kind } from "./kind.ts";
import { unusual } from "./unusual.ts";
import { WireIn } from "./wire-in.ts";

/** What is written the same for all answers of an edge. */
export interface AnswerOptions {
  readonly alwaysEmitImplicit: boolean;
  readonly registry: Registry;
}

const COMMA = 44;
const QUOTE = 34;
// Half of what protobuf-es reads: whatever is deeper is its business.
const maxDepth = 50;
const texts = {
  true: Buffer.from("true"),
  false: Buffer.from("false"),
};

/** Writes answers as JSON while it reads them, tag by tag, without making message objects. */
export class AnswerWriter {
  readonly #in = new WireIn();
  readonly #out = new JsonOut();
  #options: AnswerOptions = { alwaysEmitImplicit: false, registry: createRegistry() };
  #depth = 0;

  /** The JSON of an encoded message; throws {@link unusual} for fields out of order, given twice, malformed or out of range. */
  write(table: AnswerTable, bytes: Uint8Array, options: AnswerOptions): Buffer {
    this.#in.reset(bytes);
    this.#out.reset();
    this.#options = options;
    this.#depth = 0;
    this.#message(table, bytes.length);
    return this.#out.take();
  }

  #message(table: AnswerTable, end: number): void {
    if (++this.#depth > maxDepth) throw unusual;
    const start = this.#out.at;
    const { fields } = table;
    let next = 0;
    let chosen = 0;
    while (this.#in.pos < end) {
      const tag = this.#in.short();
      const number = tag >>> 3;
      for (; next < fields.length && (fields[next] as AnswerField).number < number; next++) {
        this.#absent(fields[next] as AnswerField);
      }
      const field = fields[next];
      if (field === undefined || field.number !== number) {
        if (number === 0 || table.numbers.has(number) || this.#isExtension(table, number)) throw unusual;
        this.#in.skip(tag & 7, end);
        continue;
      }
      next++;
      if ((chosen & field.oneof) !== 0) throw unusual;
      chosen |= field.oneof;
      this.#field(field, tag, end);
    }
    if (this.#in.pos !== end) throw unusual;
    for (; next < fields.length; next++) this.#absent(fields[next] as AnswerField);
    this.#out.reserve(0);
    this.#out.close(start, 123, 125);
    this.#depth--;
  }

  /** Extensions that the registry knows are shown, by the way over messages. */
  #isExtension({ desc }: AnswerTable, number: number): boolean {
    return this.#options.registry.getExtensionFor(desc, number) !== undefined;
  }

  #absent(field: AnswerField): void {
    if (field.absent !== undefined) this.#out.words(field.absent);
  }

  #field(field: AnswerField, tag: number, end: number): void {
    const { value } = field;
    this.#out.words(field.name);
    if (value.kind === Kind.MAP) {
      if (tag !== field.tag) throw unusual;
      this.#map(field, end);
    } else if (field.list) this.#list(field, tag, end);
    else {
      if ((tag & 7) !== value.wireType) throw unusual;
      if (field.hidesZero && this.#isZero(value)) throw unusual;
      this.#value(value, end);
    }
  }

  /** Canonical encoders leave a zero without presence out; one that is there must not be shown. */
  #isZero(value: AnswerValue): boolean {
    const { bytes, pos } = this.#in;
    if (value.wireType === 0 || value.wireType === 2) return bytes[pos] === 0;
    return bytes.subarray(pos, pos + (value.wireType === 1 ? 8 : 4)).every((byte) => byte === 0);
  }

  #list(field: AnswerField, firstTag: number, end: number): void {
    const { value } = field;
    const start = this.#out.at;
    let tag = firstTag;
    for (;;) {
      if ((tag & 7) === value.wireType) this.#element(value, end);
      else if ((tag & 7) === 2) {
        const packedEnd = this.#in.lengthEnd(end);
        while (this.#in.pos < packedEnd) this.#element(value, packedEnd);
        if (this.#in.pos !== packedEnd) throw unusual;
      } else throw unusual;
      const before = this.#in.pos;
      if (before >= end) break;
      tag = this.#in.short();
      if (tag >>> 3 !== field.number) {
        this.#in.pos = before;
        break;
      }
    }
    this.#out.reserve(0);
    // An empty packed list where defaults are left out is rare enough.
    if (this.#out.at === start && !this.#options.alwaysEmitImplicit) throw unusual;
    this.#out.close(start, 91, 93);
  }

  #element(value: AnswerValue, end: number): void {
    this.#out.reserve(0);
    this.#out.byte(COMMA);
    this.#value(value, end);
  }

  #map(field: AnswerField, end: number): void {
    const { key, item } = field.value as { key: AnswerValue; item: AnswerValue };
    const start = this.#out.at;
    const seen = new Set<string>();
    for (;;) {
      const entryEnd = this.#in.lengthEnd(end);
      // Key, then value, as encoders write them.
      if (this.#in.short() !== (8 | key.wireType)) throw unusual;
      this.#out.reserve(0);
      this.#out.byte(COMMA);
      const name = this.#mapKey(key, entryEnd);
      if (name === "__proto__" || seen.has(name)) throw unusual;
      seen.add(name);
      this.#out.byte(58);
      if (this.#in.short() !== (16 | item.wireType)) throw unusual;
      this.#value(item, entryEnd);
      if (this.#in.pos !== entryEnd) throw unusual;
      const before = this.#in.pos;
      if (before >= end) break;
      if (this.#in.short() !== field.tag) {
        this.#in.pos = before;
        break;
      }
    }
    this.#out.reserve(0);
    this.#out.close(start, 123, 125);
  }

  #value(value: AnswerValue, end: number): void {
    const input = this.#in;
    const out = this.#out;
    switch (value.kind) {
      case Kind.STRING: {
        const at = input.lengthEnd(end);
        out.string(input.bytes, input.pos, at);
        input.pos = at;
        break;
      }
      case Kind.MESSAGE:
        this.#message(value.table as AnswerTable, input.lengthEnd(end));
        break;
      case Kind.ENUM:
        this.#enum(value, input.varint() | 0);
        break;
      case Kind.BOOL:
        input.long();
        out.raw(input.low | input.high ? texts.true : texts.false);
        break;
      case Kind.BYTES: {
        const at = input.lengthEnd(end);
        out.base64(input.bytes, input.pos, at);
        input.pos = at;
        break;
      }
      case Kind.TIMESTAMP:
        writeTimestamp(input, out, input.lengthEnd(end));
        break;
      case Kind.DURATION:
        writeDuration(input, out, input.lengthEnd(end));
        break;
      case Kind.WRAPPER:
        this.#wrapper(value.table as AnswerTable, input.lengthEnd(end));
        break;
      case Kind.OTHER:
        this.#other(value.desc, input.lengthEnd(end));
        break;
      default:
        writeNumber(value.kind, input, out);
    }
  }

  #mapKey(key: AnswerValue, end: number): string {
    const { bytes, pos } = this.#in;
    if (key.kind === Kind.STRING) {
      this.#value(key, end);
      return Buffer.from(bytes.buffer, bytes.byteOffset + pos, this.#in.pos - pos).toString("latin1");
    }
    const out = this.#out;
    // 64-bit integers have their quotes, as all of them do in JSON.
    const quoted = isLong(key.kind);
    if (!quoted) out.byte(QUOTE);
    const at = out.at;
    this.#value(key, end);
    const text = out.textFrom(at);
    if (!quoted) out.byte(QUOTE);
    return text;
  }

  #enum(value: AnswerValue, number: number): void {
    const name = value.names?.get(number);
    if (name !== undefined) this.#out.raw(name);
    else if (value.closed) throw unusual;
    else writeInteger(this.#out, number);
  }

  #wrapper({ fields }: AnswerTable, end: number): void {
    const field = fields[0] as AnswerField;
    if (this.#in.pos === end) {
      this.#out.raw(field.zero);
      return;
    }
    if (this.#in.short() !== field.tag) throw unusual;
    this.#value(field.value, end);
    if (this.#in.pos !== end) throw unusual;
  }

  /** A part that protobuf-es writes; its faults are found again, and told, on the way over message objects. */
  #other(desc: DescMessage | undefined, end: number): void {
    if (desc === undefined) throw unusual;
    const { bytes, pos } = this.#in;
    let text: string;
    try {
      const message = fromBinary(desc, bytes.subarray(pos, end));
      text = jsonText(toJson(desc, message, this.#options));
    } catch {
      throw unusual;
    }
    this.#out.raw(Buffer.from(text));
    this.#in.pos = end;
  }
}
