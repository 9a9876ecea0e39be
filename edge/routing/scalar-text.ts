import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  ScalarType,
} from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  isBase64Text,
  isDoubleText,
  isDurationText,
  isIntegerText,
  isNumberText,
  isTimestampText,
} from "../json/text-form.ts";
import { type Fields, hasScalarJson } from "./field-path.ts";

const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** A parser of one field's text form, from a path or a query; throws an Error that says what was expected. */
export type TextParser = (text: string) => unknown;

/** The parser of a field's (or list element's) text form (rules V1 to V8); undefined when it has none. */
export function textParserFor(field: DescField): TextParser | undefined {
  if (field.fieldKind === "map") return undefined;
  if (field.scalar !== undefined) {
    return scalarParser(field.scalar, "longAsString" in field && field.longAsString);
  }
  if (field.enum !== undefined) return enumParser(field.enum);
  return field.message === undefined ? undefined : wellKnownParser(field.message);
}

function scalarParser(type: ScalarType, longAsString: boolean): TextParser {
  switch (type) {
    case ScalarType.STRING:
      return (text) => text;
    case ScalarType.BOOL:
      return parseBool;
    case ScalarType.BYTES:
      return parseBytes;
    case ScalarType.DOUBLE:
      return (text) => parseFloating(text, (value) => value);
    case ScalarType.FLOAT:
      return (text) => parseFloating(text, Math.fround);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (text) => Number(parseInteger(text, -(2n ** 31n), 2n ** 31n - 1n));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (text) => Number(parseInteger(text, 0n, 2n ** 32n - 1n));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longParser(0n, uint64Max, longAsString);
    default:
      return longParser(-int64Max - 1n, int64Max, longAsString);
  }
}

function longParser(min: bigint, max: bigint, asString: boolean): TextParser {
  return (text) => {
    const value = parseInteger(text, min, max);
    return asString ? String(value) : value;
  };
}

function parseBool(text: string): boolean {
  if (text === "true") return true;
  if (text === "false") return false;
  throw new Error("expected true or false");
}

function parseInteger(text: string, min: bigint, max: bigint): bigint {
  // 64 bits take 20 characters; the cap keeps BigInt from working on a megabyte of digits.
  if (!isIntegerText(text) || text.length > 20) throw new Error("expected a decimal integer in range");
  const value = BigInt(text);
  if (value < min || value > max) throw new Error(`expected an integer from ${min} to ${max}`);
  return value;
}

/** Refuses what only rounds to infinity; the names of ProtoJSON pass. */
function parseFloating(text: string, narrow: (value: number) => number): number {
  const value = Number(text);
  const overflows = !Number.isFinite(narrow(value)) && isNumberText(text);
  if (!isDoubleText(text) || overflows) throw new Error("expected a number in range");
  return value;
}

function parseBytes(text: string): Uint8Array {
  if (!isBase64Text(text)) throw new Error("expected base64");
  return base64Decode(text);
}

function enumParser(desc: DescEnum): TextParser {
  const byName = new Map(desc.values.map((value) => [value.name, value.number]));
  return (text) => {
    const named = byName.get(text);
    if (named !== undefined) return named;
    if (!isIntegerText(text)) throw new Error(`expected a name or number of ${desc.name}`);
    const number = Number(parseInteger(text, -(2n ** 31n), 2n ** 31n - 1n));
    // A closed enum would lose what it does not know.
    if (!desc.open && desc.value[number] === undefined) throw new Error(`expected a value of ${desc.name}`);
    return number;
  };
}

/** Parsers of well-known types give the message itself. */
function wellKnownParser(desc: DescMessage): TextParser | undefined {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return (text) => {
        if (!isTimestampText(text)) throw new Error("expected an RFC 3339 time that exists, with offset");
        return fromJson(desc, text);
      };
    case "google.protobuf.Duration":
      return (text) => {
        if (!isDurationText(text)) throw new Error("expected a duration such as 1.5s");
        return fromJson(desc, text);
      };
    case "google.protobuf.FieldMask":
      return (text) => maskOf(desc, text);
    default:
      return wrapperParser(desc);
  }
}

function wrapperParser(desc: DescMessage): TextParser | undefined {
  const value = desc.fields[0];
  if (!hasScalarJson(desc) || value?.scalar === undefined) return undefined;
  const parse = scalarParser(value.scalar, false);
  return (text) => Object.assign(create(desc), { value: parse(text) });
}

/** Accepts both spellings of a path (V7). */
function maskOf(desc: DescMessage, text: string): Fields {
  const paths = text === "" ? [] : text.split(",").map(toProtoPath);
  return Object.assign(create(desc), { paths }) as unknown as Fields;
}

function toProtoPath(path: string): string {
  if (!/^(?:\*|[A-Za-z_][A-Za-z0-9_.*]*)$/.test(path))
    throw new Error("expected field paths separated by commas");
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
