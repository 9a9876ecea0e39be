import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { badRequest } from "./edge-error.ts";
import { type Fields, fieldNamed, hasScalarJson, isWellKnown } from "./field-path.ts";
import { diagnose } from "./json-fault.ts";
import { ExactNumber, exactInteger, parseExact } from "./json-number.ts";
import { scanJson } from "./json-scan.ts";

/** How JSON bodies are read. */
export interface JsonReading {
  readonly registry: Registry;
  readonly unknownMembers: "drop" | "reject";
  readonly maxDepth: number;
}

/** A JSON value and whether it holds {@link ExactNumber}s. */
export interface ParsedJson {
  readonly value: JsonValue;
  readonly exact: boolean;
}

/** Parses a body's text; refuses (400) what `JSON.parse` would take silently. */
export function parseJsonText(text: string, reading: JsonReading): ParsedJson {
  const scan = scanJson(text, reading.maxDepth);
  let value: JsonValue;
  try {
    value = scan.longNumbers ? parseExact(text) : (JSON.parse(text) as JsonValue);
  } catch (error) {
    throw badRequest("INVALID_JSON", `the body is not JSON: ${(error as Error).message.slice(0, 120)}`);
  }
  if (scan.unicodeEscapes) checkSurrogates(value, "");
  return { value, exact: scan.longNumbers };
}

/**
 * Reads a JSON value as a message by ProtoJSON (rules B4 to B7). protobuf-es reads strictly; unknown members are pruned
 * beforehand where they are to be dropped, because its own option would swallow unknown enum names too.
 */
export function messageFromJson(desc: DescMessage, json: ParsedJson, reading: JsonReading): Fields {
  const options = { registry: reading.registry, recursionLimit: reading.maxDepth };
  if (!json.exact) {
    try {
      return fromJson(desc, json.value, options) as unknown as Fields;
    } catch {
      // Only then are unknown members and the place of the fault looked at one by one.
    }
  }
  const settled = settle(desc, json.value, reading);
  try {
    return fromJson(desc, settled, options) as unknown as Fields;
  } catch (error) {
    throw diagnose(desc, settled, options, error as Error);
  }
}

/** Prunes unknown members where they are dropped and gives every long number the form its field reads exactly. */
function settle(desc: DescMessage, value: JsonValue, reading: JsonReading): JsonValue {
  if (value instanceof ExactNumber && !isWellKnown(desc)) return value.rounded;
  if (isWellKnown(desc)) return settleWellKnown(desc, value, reading);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const kept: Record<string, JsonValue> = {};
  for (const [key, member] of Object.entries(value)) {
    const field = fieldNamed(desc, key, true);
    if (field !== undefined) kept[key] = settleField(field, member, reading);
    else if (reading.unknownMembers === "reject" || isKnownExtension(desc, key, reading))
      kept[key] = plain(member);
  }
  return kept;
}

function isKnownExtension(desc: DescMessage, key: string, { registry }: JsonReading): boolean {
  const extension = /^\[.*\]$/.test(key) ? registry.getExtension(key.slice(1, -1)) : undefined;
  return extension?.extendee.typeName === desc.typeName;
}

function settleField(field: DescField, value: JsonValue, reading: JsonReading): JsonValue {
  if (field.fieldKind === "list" && Array.isArray(value)) {
    return value.map((item) => settleSingular(field, item, reading));
  }
  if (field.fieldKind === "map" && isObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, settleSingular(field, item, reading)]),
    );
  }
  return settleSingular(field, value, reading);
}

function settleSingular(field: DescField, value: JsonValue, reading: JsonReading): JsonValue {
  if (field.message !== undefined) return settle(field.message, value, reading);
  return value instanceof ExactNumber ? exactInteger(field, value) : value;
}

function settleWellKnown(desc: DescMessage, value: JsonValue, reading: JsonReading): JsonValue {
  const wrapped = hasScalarJson(desc) ? desc.fields[0] : undefined;
  if (value instanceof ExactNumber && wrapped !== undefined) return exactInteger(wrapped, value);
  if (desc.typeName !== "google.protobuf.Any" || !isObject(value)) return plain(value);
  const typeUrl = value["@type"];
  const inner =
    typeof typeUrl === "string"
      ? reading.registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
      : undefined;
  if (inner === undefined || isWellKnown(inner)) return plain(value);
  return { ...(settle(inner, value, reading) as object), "@type": typeUrl as string };
}

/** Without a field to be exact for, a number is a double, as JSON has it. */
function plain(value: JsonValue): JsonValue {
  if (value instanceof ExactNumber) return finite(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function finite(number: ExactNumber): number {
  if (Number.isFinite(number.rounded)) return number.rounded;
  throw badRequest("INVALID_VALUE", `no double holds ${number.source.slice(0, 40)}`);
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
  } else if (isObject(value) && !(value instanceof ExactNumber)) {
    for (const [key, item] of Object.entries(value)) {
      checkSurrogates(key, path);
      checkSurrogates(item, path === "" ? key : `${path}.${key}`);
    }
  }
}
