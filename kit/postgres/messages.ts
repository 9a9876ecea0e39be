import { Buffer } from "node:buffer";
import pg from "pg";
import { arrayKindsOf, type ElementKind } from "./arrays.ts";
import type { Statement } from "./statement.ts";

const leastBytes = 16_384;
/** What a rare large batch has grown the memory beyond is given back. */
const mostKeptBytes = 1_048_576;
/** UTF-8 bytes for one unit of a string at most. */
const bytesPerUnit = 3;

/** Writes messages to the server (PostgreSQL 18, 54.7) one behind the other, so that many leave as one piece. */
export class MessageWriter {
  #buffer = Buffer.allocUnsafe(leastBytes);
  #at = 0;

  /** Prepares a statement under its name; closing what is not there is no error. */
  prepare({ name, text }: Statement) {
    const closing = this.#begin("C");
    this.#text("S");
    this.#cString(name);
    this.#end(closing);
    const parsing = this.#begin("P");
    this.#cString(name);
    this.#cString(text);
    this.#int16(0);
    this.#end(parsing);
  }

  /** Binds values to a prepared statement. */
  bind(statement: Statement, values: readonly unknown[]) {
    const kinds = arrayKindsOf(statement);
    const message = this.#begin("B");
    this.#cString("");
    this.#cString(statement.name);
    const prepared = values.map((value, index) =>
      kinds[index] && Array.isArray(value) ? value : prepareValue(value),
    );
    this.#int16(prepared.length);
    for (const value of prepared) this.#int16(typeof value === "object" && value !== null ? 1 : 0);
    this.#int16(prepared.length);
    for (const [index, value] of prepared.entries()) this.#value(value, kinds[index]);
    this.#int16(0);
    this.#end(message);
  }

  describe() {
    const message = this.#begin("D");
    this.#text("P");
    this.#cString("");
    this.#end(message);
  }

  execute() {
    const message = this.#begin("E");
    this.#cString("");
    this.#int32(0);
    this.#end(message);
  }

  sync() {
    this.#end(this.#begin("S"));
  }

  /** All that was written since the last time. */
  take(): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, this.#at));
    this.clear();
    return taken;
  }

  /** Forgets what was written, as after a value that could not be. */
  clear() {
    this.#at = 0;
    if (this.#buffer.length > mostKeptBytes) this.#buffer = Buffer.allocUnsafe(leastBytes);
  }

  #value(value: unknown, kind: ElementKind | undefined) {
    if (value === null) return this.#int32(-1);
    const start = this.#at;
    this.#int32(0);
    if (typeof value === "string") this.#text(value);
    else if (Array.isArray(value)) this.#array(value, kind as ElementKind);
    else this.#bytes(value as Uint8Array);
    this.#buffer.writeInt32BE(this.#at - start - 4, start);
  }

  #array(items: readonly unknown[], { oid, prefix, encode }: ElementKind) {
    const encoded = items.map(encode);
    this.#int32(items.length > 0 ? 1 : 0);
    this.#int32(encoded.includes(null) ? 1 : 0);
    this.#int32(oid);
    if (items.length === 0) return;
    this.#int32(items.length);
    this.#int32(1);
    for (const item of encoded) this.#element(item, prefix);
  }

  #element(item: Uint8Array | string | null, prefix: number | undefined) {
    if (item === null) return this.#int32(-1);
    const start = this.#at;
    this.#int32(0);
    if (prefix !== undefined) {
      this.#reserve(1);
      this.#at = this.#buffer.writeUInt8(prefix, this.#at);
    }
    if (typeof item === "string") this.#text(item);
    else this.#bytes(item);
    this.#buffer.writeInt32BE(this.#at - start - 4, start);
  }

  #begin(code: string): number {
    this.#text(code);
    const start = this.#at;
    this.#int32(0);
    return start;
  }

  #end(start: number) {
    this.#buffer.writeInt32BE(this.#at - start, start);
  }

  #int16(value: number) {
    this.#reserve(2);
    this.#at = this.#buffer.writeUInt16BE(value, this.#at);
  }

  #int32(value: number) {
    this.#reserve(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }

  #text(text: string) {
    this.#reserve(text.length * bytesPerUnit);
    this.#at += this.#buffer.write(text, this.#at);
  }

  #cString(text: string) {
    this.#text(text);
    this.#reserve(1);
    this.#at = this.#buffer.writeUInt8(0, this.#at);
  }

  #bytes(bytes: Uint8Array) {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #reserve(bytes: number) {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** Exported by pg, though not by its types. */
const { prepareValue } = (
  pg as unknown as { utils: { prepareValue: (value: unknown) => Buffer | string | null } }
).utils;
