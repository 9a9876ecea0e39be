import { createRegistry, type JsonValue, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EverySchema, file_edge_testing_v1_kinds } from "#gen/edge/testing/v1/kinds_pb.ts";
import { createTypeRegistry } from "../routing/type-registry.ts";
import { messageFromJson, parseJsonText } from "./json-message.ts";

const registry = createTypeRegistry(createRegistry(file_edge_testing_v1_kinds));

function read(text: string, unknownMembers: "drop" | "reject" = "drop"): JsonValue {
  const fields = messageFromJson(EverySchema, parseJsonText(text, 100), {
    registry,
    unknownMembers,
    maxDepth: 100,
  });
  return toJson(EverySchema, fields as never, { registry });
}

const every = "type.googleapis.com/edge.testing.v1.Every";
const wkt = (name: string) => `type.googleapis.com/google.protobuf.${name}`;

test.each<[string, string, unknown]>([
  ["a quoted exponent", '{"number":"1e5","big":"1e3"}', { number: 100_000, big: "1000" }],
  ["a fraction of zeros", '{"number":100.000,"big":"1.0"}', { number: 100, big: "1" }],
  ["64-bit digits in any spelling", '{"big":1.8446744073709551615e19}', { big: "18446744073709551615" }],
  [
    "the smallest int64 unquoted",
    '{"sint64Value":-9223372036854775808}',
    { sint64Value: "-9223372036854775808" },
  ],
  [
    "exact integers in lists",
    '{"int64List":[9007199254740993,"5"]}',
    { int64List: ["9007199254740993", "5"] },
  ],
  [
    "exact integers in maps",
    '{"counters":{"a":18446744073709551615}}',
    { counters: { a: "18446744073709551615" } },
  ],
  [
    "exact integers in an Any",
    `{"any":{"big":18446744073709551615,"@type":"${every}"}}`,
    { any: { "@type": every, big: "18446744073709551615" } },
  ],
  ["the largest float as it is printed", '{"floatValue":"3.4028235e38"}', { floatValue: 3.4028235e38 }],
  [
    "the names of doubles",
    '{"floatValue":"NaN","doubleValue":"-Infinity"}',
    { floatValue: "NaN", doubleValue: "-Infinity" },
  ],
  ["base64url without padding", '{"data":"-_"}', { data: "+w==" }],
  ["an enum's other name", '{"shade":"SHADE_BRIGHT"}', { shade: "SHADE_LIGHT" }],
  ["an open enum's unknown number", '{"shade":123}', { shade: 123 }],
  ["a JSON name of its own", '{"@other":"x"}', { "@other": "x" }],
  ["a proto name in its place", '{"renamed":"x","odd__name_":"y"}', { "@other": "x", oddName: "y" }],
  ["null as a Value", '{"value":null,"values":[null]}', { value: null, values: [null] }],
  ["null as a member of a oneof", '{"choiceNull":null}', { choiceNull: null }],
  ["null beside a oneof's member", '{"choiceText":"a","choiceFlag":null}', { choiceText: "a" }],
  [
    "an Any in an Any",
    `{"any":{"@type":"${wkt("Any")}","value":{"@type":"${every}","number":5}}}`,
    { any: { "@type": wkt("Any"), value: { "@type": every, number: 5 } } },
  ],
  [
    "a well-known type in an Any",
    `{"any":{"@type":"${wkt("Duration")}","value":"1.5s"}}`,
    { any: { "@type": wkt("Duration"), value: "1.500s" } },
  ],
  [
    "an exact wrapper in an Any",
    `{"any":{"@type":"${wkt("Int64Value")}","value":9007199254740993}}`,
    { any: { "@type": wkt("Int64Value"), value: "9007199254740993" } },
  ],
  ["Empty in an Any", `{"any":{"@type":"${wkt("Empty")}"}}`, { any: { "@type": wkt("Empty") } }],
  ["an Any without a type", '{"any":{}}', { any: {} }],
  ["a mask of everything", '{"mask":"*"}', { mask: "*" }],
  ["an unknown member below an Any", `{"any":{"@type":"${every}","nope":1}}`, { any: { "@type": every } }],
])("ProtoJSON: %s", (_what, text, expected) => {
  expect(read(text)).toEqual(expected);
});

test.each<[string, string, string]>([
  ["a sign before digits", '{"number":"+5"}', "number"],
  ["a leading zero", '{"number":"05"}', "number"],
  ["hexadecimal", '{"child":{"number":"0x5"}}', "child.number"],
  ["hexadecimal as a float", '{"floatValue":"0x10"}', "floatValue"],
  ["space around digits", '{"number":" 5"}', "number"],
  ["digits that are not ASCII", '{"number":"\u0661\u0662"}', "number"],
  ["a fraction of a long number", '{"sint64Value":9007199254740993.5}', "sint64Value"],
  ["a fraction no double holds", '{"number":5.00000000000000000001}', "number"],
  ["an exponent without end", '{"big":"1e536870000"}', "big"],
  ["a float out of range", '{"wrappedFloat":3.5e38}', "wrappedFloat"],
  ["a quoted double out of range", '{"doubleValue":"1e309"}', "doubleValue"],
  ["space in base64", '{"data":"A Q I ="}', "data"],
  ["a day that does not exist", '{"times":["2024-02-29T00:00:00Z","2023-02-29T00:00:00Z"]}', "times[1]"],
  ["the 24th hour", '{"time":"2023-02-28T24:00:00Z"}', "time"],
  ["a lower-case t", '{"time":"2023-02-28t00:00:00Z"}', "time"],
  ["text behind a duration", '{"lengths":["1s","1sx"]}', "lengths[1]"],
  ["a duration out of range", '{"length":"315576000001s"}', "length"],
  ["an underscore in a mask", '{"mask":"a,b_c"}', "mask"],
  ["a space in a mask", '{"mask":"a, b"}', "mask"],
  ["a leading zero as a map's key", '{"byInt64":{"01":"a"}}', "byInt64.01"],
  ["a map's key out of range", '{"byUint32":{"-1":""}}', "byUint32.-1"],
  ["null in a list", '{"int64List":[1,null]}', "int64List[1]"],
  ["null in a map", '{"byBool":{"true":null}}', "byBool.true"],
  ["two members of a oneof", '{"choiceText":"a","choiceFlag":true}', "choiceFlag"],
  ["an unknown enum name in a map", '{"byBool":{"true":"NOPE"}}', "byBool.true"],
  ["an Any of a type nobody knows", '{"any":{"@type":"type.googleapis.com/nope.Nope"}}', "any"],
  ["an Any with members but no type", '{"any":{"a":1}}', "any"],
  ["one array too deep", `{"value":${"[".repeat(100)}${"]".repeat(100)}}`, ""],
])("ProtoJSON does not take %s", (_what, text, field) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ code: 3, ...(field === "" ? {} : { field }) }));
});

test("an unknown member is refused by its path where the gateway says so", () => {
  expect(() => read('{"children":[{},{"nope":1}]}', "reject")).toThrow(
    expect.objectContaining({ reason: "UNKNOWN_MEMBER", field: "children[1].nope" }),
  );
  expect(() => read(`{"any":{"@type":"${every}","nope":1}}`, "reject")).toThrow(
    expect.objectContaining({ reason: "UNKNOWN_MEMBER", field: "any.nope" }),
  );
});
