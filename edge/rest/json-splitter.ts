import { badRequest } from "../edge-error.ts";
import { tooLarge } from "./request-body.ts";

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;

/** Where in a value a byte is: outside any, inside a string, a bare number or word, or an object or array. */
type Within = "nothing" | "string" | "word" | "brackets";

/** What may come next outside a value; a sequence always takes a further value. */
type Next = "anything" | "sequence" | "first-or-end" | "value" | "comma-or-end" | "nothing";

/**
 * Cuts a caller's stream into the texts of its JSON values as they arrive (R8): one array whose elements are the messages,
 * or values behind each other. It only finds where values end; what is broken inside one is left for the parser.
 */
export class JsonSplitter {
  readonly #maxBytes: number;
  #within: Within = "nothing";
  #next: Next = "anything";
  #depth = 0;
  #inString = false;
  #escaped = false;
  #parts: Buffer[] = [];
  #size = 0;

  /** Values longer than `maxBytes` are refused (413) before they are whole. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes and hands out each value they complete; throws {@link EdgeError}s (400, 413). */
  push(chunk: Buffer, onValue: (text: Buffer) => void): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#within === "word" && isDelimiter(byte)) this.#complete(chunk.subarray(start, at), onValue);
      if (this.#within !== "nothing") {
        if (this.#endsWith(byte)) this.#complete(chunk.subarray(start, at + 1), onValue);
      } else if (this.#begins(byte)) start = at;
    }
    if (this.#within !== "nothing") this.#keep(chunk.subarray(start));
  }

  /** Ends the stream; throws an {@link EdgeError} (400) when it breaks off. */
  end(onValue: (text: Buffer) => void): void {
    if (this.#within === "word") this.#complete(Buffer.alloc(0), onValue);
    const open = this.#next === "first-or-end" || this.#next === "value" || this.#next === "comma-or-end";
    if (this.#within !== "nothing" || open) throw broken("breaks off");
  }

  /** Whether a byte outside values begins one; separators are taken in passing. */
  #begins(byte: number): boolean {
    if (isSpace(byte)) return false;
    if (this.#next === "anything") {
      this.#next = byte === OPEN_ARRAY ? "first-or-end" : "sequence";
      if (byte === OPEN_ARRAY) return false;
    }
    if (byte === COMMA && this.#next === "comma-or-end") {
      this.#next = "value";
      return false;
    }
    if (byte === CLOSE_ARRAY && (this.#next === "first-or-end" || this.#next === "comma-or-end")) {
      this.#next = "nothing";
      return false;
    }
    const fits = this.#next === "sequence" || this.#next === "first-or-end" || this.#next === "value";
    if (!fits || isDelimiter(byte)) throw broken("is not a sequence of values or one array");
    this.#enter(byte);
    return true;
  }

  #enter(byte: number): void {
    this.#within = byte === QUOTE ? "string" : isOpening(byte) ? "brackets" : "word";
    this.#inString = byte === QUOTE;
    this.#depth = isOpening(byte) ? 1 : 0;
  }

  /** Whether a byte inside a value is its last. */
  #endsWith(byte: number): boolean {
    if (this.#within === "word") return false;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return !this.#inString && this.#depth === 0;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (isOpening(byte)) this.#depth++;
    else if (isClosing(byte)) this.#depth--;
    return this.#depth === 0;
  }

  #complete(last: Buffer, onValue: (text: Buffer) => void): void {
    this.#keep(last);
    const text = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    this.#within = "nothing";
    if (this.#next !== "sequence") this.#next = "comma-or-end";
    onValue(text);
  }

  #keep(part: Buffer): void {
    this.#size += part.length;
    if (this.#size > this.#maxBytes) throw tooLarge(this.#maxBytes);
    this.#parts.push(part);
  }
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

function isOpening(byte: number): boolean {
  return byte === 123 || byte === OPEN_ARRAY;
}

function isClosing(byte: number): boolean {
  return byte === 125 || byte === CLOSE_ARRAY;
}

/** What ends a bare number or word, and cannot begin a value. */
function isDelimiter(byte: number): boolean {
  return isSpace(byte) || byte === COMMA || isClosing(byte);
}

function broken(how: string) {
  return badRequest("INVALID_JSON", `the body ${how}`);
}
