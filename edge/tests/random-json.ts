import { type DescField, type DescMessage, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Types whose values have rules of their own, by JSON that is one of them. */
const wellKnown: Record<string, fc.Arbitrary<JsonValue>> = {
  Timestamp: fc
    .tuple(
      fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
      fc.constantFrom("", ".5", ".123456", ".000000001"),
    )
    .map(([seconds, nanos]) => new Date(seconds * 1_000).toISOString().replace(".000Z", `${nanos}Z`)),
  Duration: fc
    .tuple(fc.integer({ min: -315_576_000_000, max: 315_576_000_000 }), fc.constantFrom("", ".25", ".000001"))
    .map(([seconds, nanos]) => `${seconds}${nanos}s`),
  FieldMask: fc.constantFrom("", "title", "author.givenName,tags"),
  Struct: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<JsonValue>),
  Value: fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<JsonValue>,
  Any: fc.constant({ "@type": "type.googleapis.com/edge.testing.v1.Author", givenName: "Ada" }),
};

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 200 }),
  fc.string({
    unit: fc.constantFrom("\u0000", "\t", '"', "\\", "\u007f", "\u2028", "é", "𝄞", "a"),
    maxLength: 9,
  }),
);

function scalar(type: ScalarType): fc.Arbitrary<JsonValue> {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.oneof(fc.integer(), fc.integer({ min: -3, max: 300 }));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constant(0));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    default:
      return fc
        .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -9n, max: 9n }))
        .map(String);
  }
}

function item(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  if (field.enum !== undefined)
    return fc.constantFrom("GENRE_UNSPECIFIED", "GENRE_FICTION", "GENRE_SCIENCE", 7, -1);
  if (field.scalar !== undefined) return scalar(field.scalar);
  const desc = field.message as DescMessage;
  if (!desc.typeName.startsWith("google.protobuf.")) return jsonOf(desc, depth - 1);
  const name = desc.name.replace("google.protobuf.", "");
  return wellKnown[name] ?? scalar(desc.fields[0]?.scalar ?? ScalarType.STRING);
}

function valueOfField(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  const one = item(field, depth);
  if (field.fieldKind === "list") return fc.array(one, { maxLength: 3 });
  return field.fieldKind === "map" ? fc.dictionary(text, one, { maxKeys: 3 }) : one;
}

/** JSON of random messages; `__proto__` is refused wherever it stands. */
export const jsonFor = (desc: DescMessage) =>
  jsonOf(desc).filter((json) => !JSON.stringify(json).includes('"__proto__":'));

/** JSON of random messages of a type: any subset of its fields, in any order, one member of each oneof. */
function jsonOf(desc: DescMessage, depth = 3): fc.Arbitrary<JsonValue> {
  const fields = depth > 0 ? desc.fields : desc.fields.filter((field) => field.message === undefined);
  const members = fields.map((field) => valueOfField(field, depth).map((value) => ({ field, value })));
  return fc
    .tuple(fc.nat(), fc.shuffledSubarray(members.map((_, at) => at)), fc.tuple(...members))
    .map(([seed, chosen, all]) => {
      const taken = new Set<unknown>();
      const json: Record<string, JsonValue> = {};
      for (const at of chosen) {
        const { field, value } = all[at] as { field: DescField; value: JsonValue };
        if (field.oneof !== undefined && taken.has(field.oneof)) continue;
        taken.add(field.oneof);
        json[(seed + at) % 5 === 0 ? field.name : field.jsonName] = value;
      }
      return json;
    });
}
