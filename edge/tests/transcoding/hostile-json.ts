import { type Case, invalid, ok, post, refused } from "./case.ts";

const deep = (levels: number): string => `{"extra":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`;

/** JSON that means harm (section 2; "hostile" by the number of the list of hostile inputs). */
export const hostileJson: readonly Case[] = [
  [
    "hostile 35",
    "a member given twice is refused",
    post("/v1/books", '{"pageCount":1,"pageCount":999}'),
    refused("DUPLICATE_MEMBER", "pageCount"),
  ],
  [
    "hostile 35",
    "an escaped spelling of a member is the same member",
    post("/v1/books", '{"id":"a","\\u0069d":"b"}'),
    refused("DUPLICATE_MEMBER", "id"),
  ],
  [
    "hostile 35",
    "a map key given twice is refused",
    post("/v1/books", '{"labels":{"a":"1","a":"2"}}'),
    refused("DUPLICATE_MEMBER", "labels.a"),
  ],
  [
    "hostile 35",
    "a repeated member is named by its path",
    post("/v1/kinds", '{"authors":[{},{"coAuthor":{"born":1,"born":2}}]}'),
    refused("DUPLICATE_MEMBER", "authors[1].coAuthor.born"),
  ],
  [
    "hostile 36",
    "__proto__ is refused",
    post("/v1/books", '{"__proto__":{"x":1}}'),
    refused("UNKNOWN_MEMBER"),
  ],
  [
    "hostile 36",
    "an escaped __proto__ is refused",
    post("/v1/books", '{"labels":{"__pro\\u0074o__":"1"}}'),
    refused("UNKNOWN_MEMBER"),
  ],
  [
    "hostile 36",
    "constructor is just unknown",
    post("/v1/books", '{"id":"a","constructor":{"prototype":{"x":1}}}'),
    ok({ id: "a" }),
  ],
  ["hostile 34", "nesting below the cap passes", post("/v1/books", deep(40)), { status: 200 }],
  ["hostile 34", "nesting above the cap is refused", post("/v1/books", deep(200)), refused("JSON_TOO_DEEP")],
  [
    "hostile 34",
    "nesting without end is refused",
    post("/v1/books", "[".repeat(500_000)),
    refused("JSON_TOO_DEEP"),
  ],
  [
    "hostile 39",
    "a number beyond doubles is refused",
    post("/v1/kinds", '{"doubleValue":1e400}'),
    invalid("doubleValue"),
  ],
  [
    "hostile 39",
    "a number beyond doubles in a Struct is refused",
    post("/v1/books", '{"extra":{"n":1e400}}'),
    invalid(),
  ],
  ["hostile 39", "NaN is no JSON", post("/v1/kinds", '{"doubleValue":NaN}'), refused("INVALID_JSON")],
  [
    "hostile 40",
    "half a surrogate pair is refused",
    post("/v1/books", '{"author":{"givenName":"\\ud800"}}'),
    invalid("author.givenName"),
  ],
  [
    "hostile 40",
    "a whole surrogate pair passes",
    post("/v1/books", '{"id":"\\ud83d\\ude00"}'),
    ok({ id: "😀" }),
  ],
  [
    "hostile 41",
    "text after the value is refused",
    post("/v1/books", '{"id":"a"} x'),
    refused("INVALID_JSON"),
  ],
  [
    "hostile 41",
    "a byte order mark is refused",
    post("/v1/books", '\ufeff{"id":"a"}'),
    refused("INVALID_JSON"),
  ],
  [
    "hostile 41",
    "UTF-16 is refused",
    post("/v1/books", Buffer.from('{"id":"é"}', "utf16le")),
    refused("INVALID_JSON"),
  ],
  [
    "hostile 26",
    "bytes that are no UTF-8 are refused",
    post("/v1/books", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    refused("INVALID_JSON"),
  ],
  ["hostile 43", "an array where an object is due", post("/v1/books", '{"author":[]}'), invalid("author")],
  [
    "hostile 43",
    "an element of the wrong type is named by its place",
    post("/v1/kinds", '{"authors":[{"born":1},{"born":"x"}]}'),
    invalid("authors[1].born"),
  ],
  ["hostile 43", "an array as the whole body", post("/v1/books", "[]"), invalid()],
  ["hostile 43", "null as the whole body", post("/v1/books", "null"), invalid()],
  [
    "hostile 74",
    "many members are read in time",
    post(
      "/v1/kinds",
      JSON.stringify({
        counts: Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [String(at * 65536), 1])),
      }),
    ),
    { status: 200 },
  ],
  [
    "hostile 38",
    "9007199254740993 is exact",
    post("/v1/books", '{"copiesSold":9007199254740993}'),
    ok({ copiesSold: "9007199254740993" }),
  ],
  [
    "hostile 39",
    "a number that only rounds to an integer is refused",
    post("/v1/books", '{"pageCount":1.00000000000000000001}'),
    invalid("pageCount"),
  ],
  [
    "hostile 40",
    "a surrogate pair in the wrong order is refused",
    post("/v1/books", '{"id":"\\ude01\\ud83d"}'),
    invalid("id"),
  ],
  [
    "hostile 40",
    "half a surrogate pair as a key is refused",
    post("/v1/books", '{"labels":{"\\ud800":"a"}}'),
    invalid("labels"),
  ],
  ["hostile 41", "a comment is refused", post("/v1/books", '{/**/"id":"a"}'), refused("INVALID_JSON")],
  ["hostile 41", "single quotes are refused", post("/v1/books", "{'id':\"a\"}"), refused("INVALID_JSON")],
  [
    "hostile 41",
    "a trailing comma is refused",
    post("/v1/books", '{"tags":["a",]}'),
    refused("INVALID_JSON"),
  ],
  ["hostile 41", "a bare name is refused", post("/v1/books", '{id:"a"}'), refused("INVALID_JSON")],
  [
    "hostile 41",
    "a control character in text is refused",
    post("/v1/books", '{"id":"a\nb"}'),
    refused("INVALID_JSON"),
  ],
  [
    "hostile 41",
    "an escape that is none is refused",
    post("/v1/books", '{"id":"\\x41"}'),
    refused("INVALID_JSON"),
  ],
  ["hostile 41", "text that breaks off is refused", post("/v1/books", '{"id":"a'), refused("INVALID_JSON")],
  ["hostile 43", "a message as text is refused", post("/v1/books", '{"author":"a"}'), invalid("author")],
];
