import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { constraintsOf } from "./constraints.ts";

/** An example of a field that has to look a certain way; undefined leaves it to the field's type, null leaves the field out. */
export type ExampleOf = (field: DescField) => JsonValue | undefined;

const wellKnown: Readonly<Record<string, JsonValue>> = {
  "google.protobuf.Timestamp": "2026-01-02T03:04:05Z",
  "google.protobuf.Duration": "1.5s",
  "google.protobuf.FieldMask": "name",
  "google.protobuf.Struct": {},
  "google.protobuf.Value": "anything",
  "google.protobuf.ListValue": [],
  "google.protobuf.Any": { "@type": "type.googleapis.com/google.protobuf.Empty" },
  "google.protobuf.BoolValue": true,
  "google.protobuf.StringValue": "text",
  "google.protobuf.BytesValue": "Ynl0ZXM=",
  "google.protobuf.Int64Value": "1",
  "google.protobuf.UInt64Value": "1",
};

/** An example of a message, every field set, but one member of each oneof; what would not end is left out. */
export function exampleOf(
  desc: DescMessage,
  exampleOfField: ExampleOf,
  left: ReadonlySet<string> = new Set(),
  within: readonly DescMessage[] = [],
): JsonObject {
  const example: JsonObject = {};
  for (const field of desc.fields) {
    if (exampleOfField(field) === null) continue;
    const isOther = field.oneof !== undefined && field.oneof.fields[0] !== field;
    const recurs = field.message !== undefined && [...within, desc].includes(field.message);
    if (isOther || recurs || left.has(field.name)) continue;
    example[field.jsonName] = fieldExample(field, exampleOfField, [...within, desc]);
  }
  return example;
}

/** An example of one field. */
export function fieldExample(
  field: DescField,
  exampleOfField: ExampleOf,
  within: readonly DescMessage[] = [],
): JsonValue {
  const value = exampleOfField(field) ?? valueExample(field, exampleOfField, within);
  if (field.fieldKind === "list") return Array.isArray(value) ? value : [value];
  return field.fieldKind === "map" ? { key: value } : value;
}

function valueExample(
  field: DescField,
  exampleOfField: ExampleOf,
  within: readonly DescMessage[],
): JsonValue {
  if (field.message)
    return wellKnown[field.message.typeName] ?? exampleOf(field.message, exampleOfField, new Set(), within);
  // The first value is the one for unset; the second is the first that says something.
  if (field.enum) return (field.enum.values[1] ?? field.enum.values[0])?.name ?? "";
  return scalarExample(field);
}

function scalarExample(field: DescField): JsonValue {
  const { own, items } = constraintsOf(field);
  const { minimum } = field.fieldKind === "list" ? items : own;
  switch (field.scalar) {
    case ScalarType.BOOL:
      return true;
    case ScalarType.STRING:
      return field.name.replaceAll("_", " ");
    case ScalarType.BYTES:
      return "Ynl0ZXM=";
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return "1";
    default:
      return typeof minimum === "number" ? Math.max(1, minimum) : 1;
  }
}
