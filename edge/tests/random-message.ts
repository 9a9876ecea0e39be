import { type DescField, type DescMessage, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** A message in ProtoJSON, by JSON names. */
export type JsonObject = { [name: string]: JsonValue };

const awkward = fc.constantFrom(
  "%2F",
  "%",
  "+",
  " ",
  "&",
  "=",
  "#",
  "/",
  ":",
  "?",
  "..",
  "é",
  "😀",
  "\u0000",
  '"',
  "\\",
);
const texts = fc
  .array(fc.oneof(fc.string({ unit: "grapheme", maxLength: 3 }), awkward), { maxLength: 3 })
  .map((parts) => parts.join(""));
const positive = (value: number) => (value === 0 ? 0 : value);

const scalars: Partial<Record<ScalarType, fc.Arbitrary<JsonValue>>> = {
  [ScalarType.STRING]: texts,
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 7 }).map((bytes) => Buffer.from(bytes).toString("base64")),
  [ScalarType.DOUBLE]: fc.double().map(named),
  [ScalarType.FLOAT]: fc.float().map(named),
  [ScalarType.INT32]: fc.integer(),
  [ScalarType.SINT32]: fc.integer(),
  [ScalarType.SFIXED32]: fc.integer(),
  [ScalarType.UINT32]: fc.nat(0xffffffff),
  [ScalarType.FIXED32]: fc.nat(0xffffffff),
};
const signed = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const unsigned = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);

/** JSON has names for what is no number. */
function named(value: number): JsonValue {
  return Number.isFinite(value) ? positive(value) : String(value);
}

function scalarOf(type: ScalarType): fc.Arbitrary<JsonValue> {
  const isUnsigned = type === ScalarType.UINT64 || type === ScalarType.FIXED64;
  return scalars[type] ?? (isUnsigned ? unsigned : signed);
}

const nanos = fc.nat(999_999_999).map((value) => `.${String(value).padStart(9, "0")}`);
const wellKnown: Record<string, fc.Arbitrary<JsonValue>> = {
  Timestamp: fc
    .tuple(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), nanos)
    .map(([seconds, fraction]) =>
      new Date(seconds * 1000).toISOString().replace(/^\+?0*(\d{4})(.*)\..*Z$/, `$1$2${fraction}Z`),
    ),
  Duration: fc
    .tuple(fc.integer({ min: -315_576_000, max: 315_576_000 }), nanos)
    .map(([seconds, fraction]) => `${seconds}${fraction}s`),
  FieldMask: fc.subarray(["a", "displayTitle", "child.textValue"]).map((paths) => paths.join(",")),
  Struct: fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 1 }), {
    maxKeys: 2,
  }) as fc.Arbitrary<JsonValue>,
  Value: fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<JsonValue>,
  ListValue: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 2 }) as fc.Arbitrary<JsonValue>,
  Empty: fc.constant({}),
};

/** The last word of a message's type name, where it is a well-known one. */
function wellKnownName(message: DescMessage | undefined): string | undefined {
  return message?.typeName.startsWith("google.protobuf.") ? message.name : undefined;
}

/** Whether a field's value, or each of a list's, has a text form. */
export function hasText(field: DescField): boolean {
  if (field.fieldKind === "map") return false;
  const name = wellKnownName(field.message);
  return (
    field.message === undefined ||
    (name !== undefined && !["Struct", "Value", "ListValue", "Any", "Empty"].includes(name))
  );
}

/** Random values of one element of a field; undefined for those this test leaves out. */
function elementOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> | undefined {
  const { message } = field;
  if (field.enum !== undefined) {
    if (field.enum.typeName === "google.protobuf.NullValue") return undefined;
    return fc.constantFrom<JsonValue>(
      ...new Set(field.enum.value ? Object.values(field.enum.value).map(({ name }) => name) : []),
      77,
    );
  }
  if (field.scalar !== undefined) return scalarOf(field.scalar);
  const name = wellKnownName(message);
  if (name === undefined)
    return depth > 0 && message !== undefined ? messages(message, depth - 1) : undefined;
  const wrapped =
    name.endsWith("Value") && wellKnown[name] === undefined ? message?.fields[0]?.scalar : undefined;
  return wrapped === undefined ? wellKnown[name] : scalarOf(wrapped);
}

/** Random values of a field as JSON. */
export function valuesOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> | undefined {
  const element = elementOf(field, depth);
  if (element === undefined) return undefined;
  if (field.fieldKind === "list") return fc.array(element, { maxLength: 3 });
  if (field.fieldKind !== "map") return element;
  const keys =
    field.mapKey === ScalarType.BOOL
      ? fc.boolean().map(String)
      : field.mapKey === ScalarType.STRING
        ? fc.string({ unit: "grapheme-ascii", maxLength: 4 }).filter((key) => key !== "__proto__")
        : fc.nat(1_000).map(String);
  return fc.array(fc.tuple(keys, element), { maxLength: 3 }).map((entries) => Object.fromEntries(entries));
}

/** Random messages: a few members each, at most one of a oneof. */
export function messages(desc: DescMessage, depth: number): fc.Arbitrary<JsonObject> {
  return fc.subarray([...desc.fields], { maxLength: 7 }).chain((fields) => {
    const taken = new Set<unknown>();
    const chosen = fields.flatMap((field) => {
      if (field.oneof !== undefined && taken.has(field.oneof)) return [];
      const values = valuesOf(field, depth);
      if (values === undefined) return [];
      taken.add(field.oneof);
      return [fc.tuple(fc.constant(field.jsonName), values)];
    });
    return fc.tuple(...chosen).map((members) => Object.fromEntries(members) as JsonObject);
  });
}
