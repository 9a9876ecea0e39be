import { badRequest } from "../edge-error.ts";

/** What a scan found that the parser needs to know. */
export interface JsonScan {
  /** A number is long enough for `JSON.parse` to round it. */
  readonly longNumbers: boolean;
  /** A `\u` escape is present, so that a string may hold half a surrogate pair. */
  readonly unicodeEscapes: boolean;
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;

// Up to this many digits a double holds every integer.
const safeDigits = 15;
// Above this many members a set is cheaper than comparing each with each.
const listedKeys = 12;

interface OpenValue {
  /** Undefined for an array. */
  readonly keys: string[] | undefined;
  set: Set<string> | undefined;
  /** The member or element being read. */
  at: string | number;
}

/**
 * Looks over JSON text before it is parsed: nesting deeper than `maxDepth`, a member given twice and members named
 * `__proto__` are refused (400), because `JSON.parse` would take each of them silently. The text need not be valid JSON;
 * what is broken otherwise is left for the parser to refuse.
 */
export function scanJson(text: string, maxDepth: number): JsonScan {
  const open: OpenValue[] = [];
  let top: OpenValue | undefined;
  let expectKey = false;
  let longNumbers = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === QUOTE) {
      const close = closingQuote(text, i);
      if (close === -1) break;
      if (expectKey && top?.keys !== undefined) addKey(text, i, close, open);
      expectKey = false;
      i = close;
    } else if (char === 123 || char === 91) {
      if (open.length >= maxDepth)
        throw badRequest("JSON_TOO_DEEP", `more than ${maxDepth} levels of nesting`);
      top = { keys: char === 123 ? [] : undefined, set: undefined, at: 0 };
      open.push(top);
      expectKey = char === 123;
    } else if (char === 125 || char === 93) {
      open.pop();
      top = open[open.length - 1];
      expectKey = false;
    } else if (char === COMMA) {
      expectKey = top?.keys !== undefined;
      if (top !== undefined && !expectKey) top.at = (top.at as number) + 1;
    } else if (char === COLON) {
      expectKey = false;
    } else if (char >= 48 && char <= 57) {
      const end = numberEnd(text, i);
      if (end - i > safeDigits) longNumbers = true;
      else if (!longNumbers && end - i > 3) longNumbers = /[eE]/.test(text.slice(i, end));
      i = end - 1;
    }
  }
  return { longNumbers, unicodeEscapes: text.includes("\\u") };
}

function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
  return backslashes % 2 === 1;
}

function numberEnd(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length; i++) {
    const char = text.charCodeAt(i);
    const partOfNumber =
      (char >= 48 && char <= 57) || char === 46 || char === 101 || char === 69 || char === 43 || char === 45;
    if (!partOfNumber) break;
  }
  return i;
}

function addKey(text: string, start: number, close: number, open: readonly OpenValue[]): void {
  const raw = text.slice(start + 1, close);
  const key = raw.includes("\\") ? unescaped(raw) : raw;
  const object = open[open.length - 1] as OpenValue;
  object.at = key;
  if (key === "__proto__") throw badRequest("UNKNOWN_MEMBER", "this member is not allowed", pathOf(open));
  const keys = object.keys as string[];
  if (object.set !== undefined ? object.set.has(key) : keys.includes(key)) {
    throw badRequest("DUPLICATE_MEMBER", "the member is given twice", pathOf(open));
  }
  if (object.set !== undefined) object.set.add(key);
  else if (keys.push(key) > listedKeys) object.set = new Set(keys);
}

function pathOf(open: readonly OpenValue[]): string {
  return open
    .map(({ at }) => (typeof at === "number" ? `[${at}]` : `.${at}`))
    .join("")
    .replace(/^\./, "");
}

/** An escaped key equals its plain spelling; a broken one is left to the parser. */
function unescaped(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}
