import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { entryBytes } from "./hpack-table.ts";

const nameAlphabet = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// Line ends and NUL would end a header of HTTP/1.1 somewhere else; the others are no text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const badValue = /[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/;
const connectionHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Headers of which only the first counts; others are joined. */
const single = new Set(["content-type", "content-length", "date", "etag", "last-modified", "location"]);
const maxKnownNames = 500;
/** Names seen before, and whether they are names at all: a backend uses few. */
const knownNames = new Map<string, boolean>();

function isName(name: string): boolean {
  let known = knownNames.get(name);
  if (known === undefined) {
    known = nameAlphabet.test(name) && !connectionHeaders.has(name);
    if (knownNames.size < maxKnownNames) knownNames.set(name, known);
  }
  return known;
}

/** Headers of an answer by their names, and its status. */
export type AnswerHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

/** The fields of one header block as they are decoded, judged by the rules for answers (RFC 9113, 8.2 and 8.3). */
export class HeaderList {
  readonly #maxBytes: number;
  #bytes = 0;
  #regular = false;
  #fault: string | undefined;
  readonly #headers: AnswerHeaders = Object.create(null);

  /** `maxBytes` counts as HTTP/2 does: names, values and 32 for each field. What is beyond is not kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What is wrong with it; undefined where nothing is. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** The fields by name; several of one name joined by commas, `set-cookie` as an array. */
  get headers(): AnswerHeaders {
    return this.#headers;
  }

  take(name: string, value: string): void {
    if (this.#fault !== undefined) return;
    this.#bytes += entryBytes(name, value);
    if (this.#bytes > this.#maxBytes) this.#fault = `a header list of more than ${this.#maxBytes} bytes`;
    else if (name.charCodeAt(0) === 58) this.#takePseudo(name, value);
    else {
      this.#regular = true;
      if (!isName(name)) this.#fault = "a header whose name is none";
      else if (badValue.test(value)) this.#fault = `the value of ${name} holds what no value holds`;
      else if (name === "te" && value !== "trailers") this.#fault = "te that is not trailers";
      else this.#add(name, value);
    }
  }

  #takePseudo(name: string, value: string): void {
    const isStatus = name === ":status" && /^[1-9]\d\d$/.test(value);
    if (!isStatus || this.#regular || this.#headers[":status"] !== undefined)
      this.#fault = "a pseudo-header out of place";
    else this.#headers[":status"] = Number(value);
  }

  #add(name: string, value: string): void {
    const before = this.#headers[name];
    if (name === "set-cookie") this.#headers[name] = [...(this.#headers[name] ?? []), value];
    else if (before === undefined) this.#headers[name] = value;
    else if (!single.has(name)) this.#headers[name] = `${before}, ${value}`;
  }
}
