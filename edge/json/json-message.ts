import { type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { badRequest } from "../edge-error.ts";
import type { Fields } from "../routing/field-path.ts";
import { diagnose } from "./json-fault.ts";
import { ExactNumber, parseExact } from "./json-number.ts";
import { scanJson } from "./json-scan.ts";
import { type JsonReading, settle } from "./json-settle.ts";

/** Parses a body's text; refuses (400) what `JSON.parse` would take silently. Long numbers keep their digits. */
export function parseJsonText(text: string, maxDepth: number): JsonValue {
  const scan = scanJson(text, maxDepth);
  let value: JsonValue;
  try {
    value = scan.longNumbers ? parseExact(text) : (JSON.parse(text) as JsonValue);
  } catch (error) {
    throw badRequest("INVALID_JSON", `the body is not JSON: ${(error as Error).message.slice(0, 120)}`);
  }
  if (scan.unicodeEscapes) checkSurrogates(value, "");
  return value;
}

/** Reads a parsed body as a message by ProtoJSON (rules B4 to B7), using it up; throws {@link EdgeError}s (400). */
export function messageFromJson(desc: DescMessage, json: JsonValue, reading: JsonReading): Fields {
  const settled = settle(desc, json, reading);
  const options = { registry: reading.registry, recursionLimit: reading.maxDepth };
  try {
    return fromJson(desc, settled, options) as unknown as Fields;
  } catch (error) {
    throw diagnose(desc, settled, options, error as Error);
  }
}

/** Half a surrogate pair is not text: encoding it would quietly write another character. */
function checkSurrogates(value: JsonValue, path: string): void {
  if (typeof value === "string") {
    if (!value.isWellFormed())
      throw badRequest("INVALID_VALUE", "the text holds half a surrogate pair", path);
  } else if (Array.isArray(value)) {
    value.forEach((item, at) => {
      checkSurrogates(item, `${path}[${at}]`);
    });
  } else if (typeof value === "object" && value !== null && !(value instanceof ExactNumber)) {
    for (const [key, item] of Object.entries(value)) {
      checkSurrogates(key, path);
      checkSurrogates(item, path === "" ? key : `${path}.${key}`);
    }
  }
}
