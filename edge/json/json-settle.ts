import {
  type DescField,
  type DescMessage,
  type DescOneof,
  type JsonValue,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { badRequest, type EdgeError } from "../edge-error.ts";
import { fieldNamed, hasScalarJson, isWellKnown } from "../routing/field-path.ts";
import { ExactNumber, integerDigits } from "./json-number.ts";
import {
  isBase64Text,
  isDoubleText,
  isDurationText,
  isIntegerText,
  isNumberText,
  isTimestampText,
} from "./text-form.ts";

/** How JSON bodies are read. */
export interface JsonReading {
  readonly registry: Registry;
  readonly unknownMembers: "drop" | "reject";
  readonly maxDepth: number;
}

type JsonObject = { [key: string]: JsonValue };

const shortTypes: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT32,
  ScalarType.SINT32,
  ScalarType.SFIXED32,
  ScalarType.UINT32,
  ScalarType.FIXED32,
]);
const longTypes: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);
const maskText = /^(?:[A-Za-z*][A-Za-z0-9.*]*(?:,[A-Za-z*][A-Za-z0-9.*]*)*)?$/;

/**
 * Prepares a parsed body for protobuf-es, in place: drops (or refuses) unknown members, because its own option would
 * swallow unknown enum names too; gives every long number the form its field reads exactly; and refuses (400) what
 * `Number`, `Date.parse` and the base64 decoder would take though ProtoJSON does not. The rest it refuses itself.
 */
export function settle(desc: DescMessage, value: JsonValue, reading: JsonReading, path = ""): JsonValue {
  if (isWellKnown(desc)) return settleWellKnown(desc, value, reading, path);
  if (!isObject(value)) return plain(value, path);
  settleMembers(desc, value, reading, path);
  return value;
}

function settleMembers(desc: DescMessage, object: JsonObject, reading: JsonReading, path: string): void {
  let chosen: Map<DescOneof, string> | undefined;
  for (const [key, member] of Object.entries(object)) {
    const field = fieldNamed(desc, key, true);
    if (field === undefined) {
      settleUnknown(desc, object, key, reading, path);
      continue;
    }
    const other = key === field.name ? field.jsonName : field.name;
    const at = join(path, key);
    if (other !== key && Object.hasOwn(object, other)) {
      throw badRequest("DUPLICATE_MEMBER", `the member is given as ${other} too`, at);
    }
    if (field.oneof !== undefined && (member !== null || holdsNull(field))) {
      const first = chosen?.get(field.oneof);
      if (first !== undefined) {
        throw badRequest("ONEOF_SET_TWICE", `${first} and ${key} exclude each other`, at);
      }
      chosen = (chosen ?? new Map()).set(field.oneof, key);
    }
    if (member !== null) object[key] = settleField(field, member, reading, at);
  }
}

/** Whether null is a value of the field rather than its absence. */
function holdsNull(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Value" ||
    field.enum?.typeName === "google.protobuf.NullValue"
  );
}

function settleUnknown(
  desc: DescMessage,
  object: JsonObject,
  key: string,
  reading: JsonReading,
  path: string,
): void {
  if (isKnownExtension(desc, key, reading)) object[key] = plain(object[key] as JsonValue, join(path, key));
  else if (reading.unknownMembers === "drop") delete object[key];
  else throw badRequest("UNKNOWN_MEMBER", "the contract has no such member", join(path, key));
}

function isKnownExtension(desc: DescMessage, key: string, { registry }: JsonReading): boolean {
  const extension = /^\[.*\]$/.test(key) ? registry.getExtension(key.slice(1, -1)) : undefined;
  return extension?.extendee.typeName === desc.typeName;
}

function settleField(field: DescField, value: JsonValue, reading: JsonReading, path: string): JsonValue {
  if (field.fieldKind === "list" && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      value[index] = settleSingular(field, item, reading, `${path}[${index}]`);
    }
    return value;
  }
  if (field.fieldKind !== "map" || !isObject(value)) return settleSingular(field, value, reading, path);
  for (const [key, item] of Object.entries(value)) {
    const at = join(path, key);
    if (isIntegerType(field.mapKey) && !isIntegerText(key)) throw invalid("expected an integer as key", at);
    value[key] = settleSingular(field, item, reading, at);
  }
  return value;
}

function settleSingular(field: DescField, value: JsonValue, reading: JsonReading, path: string): JsonValue {
  if (value === null) return value;
  if (field.message !== undefined) return settle(field.message, value, reading, path);
  if (field.scalar !== undefined) return settleScalar(field.scalar, value, path);
  return value instanceof ExactNumber ? exactInteger(value.source, true, path) : value;
}

function settleScalar(type: ScalarType, value: JsonValue, path: string): JsonValue {
  if (isIntegerType(type)) {
    if (typeof value === "string") return exactInteger(value, isShort(type), path);
    return value instanceof ExactNumber ? exactInteger(value.source, isShort(type), path) : value;
  }
  if (value instanceof ExactNumber) return finite(value, path);
  if (typeof value !== "string") return value;
  const fits = type === ScalarType.BYTES ? isBase64Text(value) : !isFloatType(type) || isDoubleText(value);
  if (!fits) throw invalid(type === ScalarType.BYTES ? "expected base64" : "expected a number", path);
  return value;
}

/** An integer by its digits, whatever its spelling: 64 bits are exact as text, 32 as a number. */
function exactInteger(source: string, short: boolean, path: string): JsonValue {
  const digits = isNumberText(source) ? integerDigits(source) : undefined;
  if (digits === undefined) throw invalid("expected an integer in range", path);
  return short ? Number(digits) : digits;
}

function isIntegerType(type: ScalarType): boolean {
  return isShort(type) || longTypes.has(type);
}

function isShort(type: ScalarType): boolean {
  return shortTypes.has(type);
}

function isFloatType(type: ScalarType): boolean {
  return type === ScalarType.DOUBLE || type === ScalarType.FLOAT;
}

function settleWellKnown(desc: DescMessage, value: JsonValue, reading: JsonReading, path: string): JsonValue {
  switch (desc.typeName) {
    case "google.protobuf.Any":
      return isObject(value) ? settleAny(value, reading, path) : value;
    case "google.protobuf.Timestamp":
      return checked(value, isTimestampText, "expected an RFC 3339 time that exists, with offset", path);
    case "google.protobuf.Duration":
      return checked(value, isDurationText, "expected a duration such as 1.5s", path);
    case "google.protobuf.FieldMask":
      return checked(value, (text) => maskText.test(text), "expected paths separated by commas", path);
  }
  const wrapped = hasScalarJson(desc) ? desc.fields[0]?.scalar : undefined;
  return wrapped === undefined ? plain(value, path) : settleScalar(wrapped, value, path);
}

function checked(
  value: JsonValue,
  fits: (text: string) => boolean,
  expected: string,
  path: string,
): JsonValue {
  if (typeof value === "string" && !fits(value)) throw invalid(expected, path);
  return plain(value, path);
}

/** An Any is its message with `@type` beside the members, or beside `value` where the message has a form of its own. */
function settleAny(value: JsonObject, reading: JsonReading, path: string): JsonValue {
  const typeUrl = value["@type"];
  const desc =
    typeof typeUrl === "string"
      ? reading.registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
      : undefined;
  if (typeUrl === undefined || desc === undefined) return plain(value, path);
  if (isWellKnown(desc)) {
    const inner = value.value;
    if (inner !== undefined) value.value = settleWellKnown(desc, inner, reading, join(path, "value"));
    return value;
  }
  delete value["@type"];
  settleMembers(desc, value, reading, path);
  value["@type"] = typeUrl;
  return value;
}

/** Without a field to be exact for, a number is a double, as JSON has it. */
function plain(value: JsonValue, path: string): JsonValue {
  if (value instanceof ExactNumber) return finite(value, path);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) value[index] = plain(item, path);
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) value[key] = plain(item, path);
  }
  return value;
}

function finite(number: ExactNumber, path: string): number {
  if (Number.isFinite(number.rounded)) return number.rounded;
  throw invalid(`no double holds ${number.source.slice(0, 40)}`, path);
}

function isObject(value: JsonValue): value is JsonObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  );
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function invalid(expected: string, path: string): EdgeError {
  return badRequest("INVALID_VALUE", expected, path === "" ? undefined : path);
}
