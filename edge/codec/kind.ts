import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** How a value is written in binary and in JSON; the scalars have the numbers of `ScalarType`. */
export const Kind = {
  DOUBLE: ScalarType.DOUBLE,
  FLOAT: ScalarType.FLOAT,
  INT64: ScalarType.INT64,
  UINT64: ScalarType.UINT64,
  INT32: ScalarType.INT32,
  FIXED64: ScalarType.FIXED64,
  FIXED32: ScalarType.FIXED32,
  BOOL: ScalarType.BOOL,
  STRING: ScalarType.STRING,
  BYTES: ScalarType.BYTES,
  UINT32: ScalarType.UINT32,
  SFIXED32: ScalarType.SFIXED32,
  SFIXED64: ScalarType.SFIXED64,
  SINT32: ScalarType.SINT32,
  SINT64: ScalarType.SINT64,
  ENUM: 20,
  /** A message of the contract, field by field. */
  MESSAGE: 21,
  TIMESTAMP: 22,
  DURATION: 23,
  /** A message whose JSON is that of its one field. */
  WRAPPER: 24,
  MAP: 25,
  /** A message that only protobuf-es handles. */
  OTHER: 26,
} as const;

/** One of {@link Kind}. */
export type Kind = (typeof Kind)[keyof typeof Kind];

/** The kind of a field's value, of a list's elements, or of a map's values. */
export function kindOfValue(field: DescField): Kind {
  if (field.scalar !== undefined) return field.scalar;
  if (field.message !== undefined) return kindOfMessage(field.message);
  return field.enum?.typeName === "google.protobuf.NullValue" ? Kind.OTHER : Kind.ENUM;
}

const wrapper = /^google\.protobuf\.(?:Double|Float|U?Int(?:32|64)|Bool|String|Bytes)Value$/;

/** The kind of a message type. */
export function kindOfMessage(desc: DescMessage): Kind {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return Kind.TIMESTAMP;
    case "google.protobuf.Duration":
      return Kind.DURATION;
    case "google.protobuf.Any":
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
    case "google.protobuf.FieldMask":
      return Kind.OTHER;
    default:
      return wrapper.test(desc.typeName) ? Kind.WRAPPER : Kind.MESSAGE;
  }
}

/** The wire type of a kind: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
export function wireTypeOf(kind: Kind): number {
  switch (kind) {
    case Kind.DOUBLE:
    case Kind.FIXED64:
    case Kind.SFIXED64:
      return 1;
    case Kind.FLOAT:
    case Kind.FIXED32:
    case Kind.SFIXED32:
      return 5;
    case Kind.STRING:
    case Kind.BYTES:
    case Kind.MESSAGE:
    case Kind.TIMESTAMP:
    case Kind.DURATION:
    case Kind.WRAPPER:
    case Kind.MAP:
    case Kind.OTHER:
      return 2;
    default:
      return 0;
  }
}

/** Whether a field is encoded as a group (proto2, or by an edition's feature), which the codecs leave alone. */
export function isGroup(field: DescField): boolean {
  return "delimitedEncoding" in field && field.delimitedEncoding === true;
}
