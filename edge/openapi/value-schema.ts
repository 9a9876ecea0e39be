import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { JsonSchema } from "./json-schema.ts";

/** 64-bit integers are texts in ProtoJSON, since a double cannot hold them. */
const signedText: JsonSchema = { type: "string", format: "int64", pattern: "^-?[0-9]{1,19}$" };
const unsignedText: JsonSchema = { type: "string", format: "uint64", pattern: "^[0-9]{1,20}$" };
const signed: JsonSchema = { type: "integer", format: "int32" };
const unsigned: JsonSchema = { type: "integer", format: "int64", minimum: 0, maximum: 4_294_967_295 };

const scalars: Readonly<Record<ScalarType, JsonSchema>> = {
  [ScalarType.DOUBLE]: { type: "number", format: "double" },
  [ScalarType.FLOAT]: { type: "number", format: "float" },
  [ScalarType.INT64]: signedText,
  [ScalarType.UINT64]: unsignedText,
  [ScalarType.INT32]: signed,
  [ScalarType.FIXED64]: unsignedText,
  [ScalarType.FIXED32]: unsigned,
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
  [ScalarType.UINT32]: unsigned,
  [ScalarType.SFIXED32]: signed,
  [ScalarType.SFIXED64]: signedText,
  [ScalarType.SINT32]: signed,
  [ScalarType.SINT64]: signedText,
};

/** The schema of a scalar as ProtoJSON writes it. */
export function scalarSchema(scalar: ScalarType | undefined): JsonSchema {
  return scalar === undefined ? {} : scalars[scalar];
}

const wellKnown: Readonly<Record<string, JsonSchema>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$" },
  "google.protobuf.FieldMask": { type: "string" },
  "google.protobuf.Struct": { type: "object" },
  "google.protobuf.Value": {},
  "google.protobuf.ListValue": { type: "array" },
  "google.protobuf.Any": { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] },
  "google.protobuf.DoubleValue": scalars[ScalarType.DOUBLE],
  "google.protobuf.FloatValue": scalars[ScalarType.FLOAT],
  "google.protobuf.Int64Value": signedText,
  "google.protobuf.UInt64Value": unsignedText,
  "google.protobuf.Int32Value": signed,
  "google.protobuf.UInt32Value": unsigned,
  "google.protobuf.BoolValue": { type: "boolean" },
  "google.protobuf.StringValue": { type: "string" },
  "google.protobuf.BytesValue": scalars[ScalarType.BYTES],
};

/** The schema of a message that ProtoJSON writes in a form of its own; undefined for any other. */
export function wellKnownSchema({ typeName }: DescMessage): JsonSchema | undefined {
  return wellKnown[typeName];
}
