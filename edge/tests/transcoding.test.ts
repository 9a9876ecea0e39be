import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RawRequest, sendRaw } from "./raw-http.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

let dropping: TestEdge;
let rejecting: TestEdge;

beforeAll(async () => {
  dropping = await startTestEdge({
    responseHeaders: ["x-shelf"],
    deniedHeaders: ["x-user-id", "x-internal-*"],
  });
  rejecting = await startTestEdge({ unknownMembers: "reject" });
});

afterAll(async () => {
  await dropping.stop();
  await rejecting.stop();
});

interface Expected {
  readonly status: number;
  /** Members the answer must have. */
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  /** Runs against the edge that rejects unknown members. */
  readonly rejecting?: boolean;
}

type Case = readonly [rule: string, fact: string, request: RawRequest, expected: Expected];

const get = (target: string, headers: Record<string, string> = {}): RawRequest => ({ target, headers });
const post = (target: string, body: unknown, headers: Record<string, string> = {}): RawRequest => ({
  method: "POST",
  target,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
});
const patch = (target: string, body: unknown): RawRequest => ({ ...post(target, body), method: "PATCH" });
const put = (target: string, body: unknown, headers: Record<string, string> = {}): RawRequest => ({
  ...post(target, body, headers),
  method: "PUT",
});
const method = (name: string, target: string): RawRequest => ({ method: name, target });

const ok = (json: unknown): Expected => ({ status: 200, json });
const refused = (reason: string, field?: string): Expected => ({
  status: 400,
  json: { code: "INVALID_ARGUMENT", reason, ...(field === undefined ? {} : { field }) },
});
const notFound: Expected = { status: 404, json: { reason: "ROUTE_NOT_FOUND", code: "NOT_FOUND" } };
const strictly = (expected: Expected): Expected => ({ ...expected, rejecting: true });

const deep = (levels: number): string => `{"extra":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`;

const matching: Case[] = [
  ["M1", "an escaped slash does not split", get("/v1/books/a%2Fb"), ok({ id: "a/b" })],
  ["M1", "an escape is decoded once", get("/v1/books/a%252Fb"), ok({ id: "a%2Fb" })],
  ["M2", "an empty last segment does not bind", get("/v1/books/"), notFound],
  ["M2", "an empty middle segment does not bind", get("/v1/shelves//books/b"), notFound],
  [
    "M2",
    "a variable before a verb takes no empty text",
    { ...post("/v1/books/:archive", "{}") },
    { status: 405 },
  ],
  ["M3", "** takes no segment", get("/v1/files"), ok({ path: "" })],
  ["M3", "** takes several segments", get("/v1/files/a/b/c"), ok({ path: "a/b/c" })],
  ["M3", "a trailing slash is an empty segment for ** too", get("/v1/files/"), notFound],
  ["M4", "slashes are not collapsed", get("/v1//books/a"), notFound],
  ["M4", "dot segments are data", get("/v1/files/a/../b"), ok({ path: "a/../b" })],
  [
    "M4",
    "dot segments do not lead to another route",
    get("/v1/files/../books/a"),
    ok({ path: "../books/a" }),
  ],
  ["M4", "escaped dot segments are data", get("/v1/books/%2e%2e"), ok({ id: ".." })],
  ["M5", "a literal beats a variable", get("/v1/books/featured"), ok({ id: "the featured one" })],
  ["M5", "an escaped letter is not the literal", get("/v1/books/%66eatured"), ok({ id: "featured" })],
  [
    "M6",
    "a literal branch without the method does not shadow a variable",
    method("DELETE", "/v1/wild/literal"),
    ok({ path: "probed literal" }),
  ],
  ["M6", "the literal branch has its own method", get("/v1/wild/literal"), ok({ path: "literal" })],
  ["M7", "a verb beats a variable that could hold it", get("/v1/books/a:preview"), ok({ id: "a" })],
  ["M7", "** ends before its verb", get("/v1/trees/a/b:list"), ok({ path: "a/b" })],
  ["M3", "** before a verb takes no segment", get("/v1/trees:list"), ok({ path: "" })],
  ["M8", "a colon without a registered verb is data", get("/v1/books/a:b"), ok({ id: "a:b" })],
  ["M8", "a verb of another method is data", get("/v1/books/a:archive"), ok({ id: "a:archive" })],
  ["M8", "only the last colon can open a verb", get("/v1/books/a:b:preview"), ok({ id: "a:b" })],
  ["M9", "an escaped colon opens no verb", get("/v1/books/a%3Apreview"), ok({ id: "a:preview" })],
  ["M10", "a custom kind is a method", method("PURGE", "/v1/cache/x"), ok({ path: "probed x" })],
  ["M10", "the kind * answers any method", method("PUT", "/v1/any/x"), ok({ path: "probed x" })],
  ["M11", "an unknown path is 404", get("/v2/books/a"), notFound],
  ["M11", "the root is 404", get("/"), notFound],
  [
    "M11",
    "a known path with another method is 405 with Allow",
    method("POST", "/v1/books/a"),
    {
      status: 405,
      headers: { allow: "DELETE, GET, HEAD, OPTIONS, PATCH, PUT" },
      json: { reason: "METHOD_NOT_ALLOWED" },
    },
  ],
  [
    "M12",
    "HEAD is GET without the body",
    method("HEAD", "/v1/books/a"),
    { status: 200, body: "", headers: { "content-type": "application/json" } },
  ],
  ["M12", "HEAD of a failure has its status", method("HEAD", "/v1/fail/5"), { status: 404, body: "" }],
  [
    "M12",
    "OPTIONS names the methods",
    method("OPTIONS", "/v1/books/a"),
    { status: 204, headers: { allow: "DELETE, GET, HEAD, OPTIONS, PATCH, PUT" } },
  ],
  ["M13", "no method override", get("/v1/books/a", { "x-http-method-override": "DELETE" }), ok({ id: "a" })],
  ["T2", "literals compare with any case of hex", get("/v1/caf%c3%a9/x"), ok({ path: "x" })],
  ["T16", "a method without a rule is not on REST", get("/v1/chat"), notFound],
  ["policy", "an RPC kept off the edge has no route", get("/v1/hidden"), notFound],
  ["RFC 9112", "an absolute target is its path", get("http://shop.test/v1/books/a"), ok({ id: "a" })],
];

const decoding: Case[] = [
  ["D1", "a single segment is decoded whole", get("/v1/books/%E2%9C%93%20%21"), ok({ id: "✓ !" })],
  [
    "D2",
    "several segments keep an escaped slash as sent",
    get("/v1/shelves/a%2fb/books/c%2Fd"),
    ok({ name: "shelves/a%2fb/books/c%2Fd" }),
  ],
  [
    "D2",
    "several segments decode everything else",
    get("/v1/shelves/a%20b/books/c%3A"),
    ok({ name: "shelves/a b/books/c:" }),
  ],
  ["D3", "** with one segment still keeps an escaped slash", get("/v1/files/a%2Fb"), ok({ path: "a%2Fb" })],
  ["D4", "a plus in a path is a plus", get("/v1/books/a+b"), ok({ id: "a+b" })],
  ["D5", "a broken escape is refused", get("/v1/books/a%zz"), refused("INVALID_PATH", "id")],
  ["D5", "a cut escape is refused", get("/v1/books/a%2"), refused("INVALID_PATH", "id")],
  [
    "D5",
    "a broken escape in several segments is refused",
    get("/v1/files/a/%z"),
    refused("INVALID_PATH", "path"),
  ],
  ["D6", "bytes that are no UTF-8 are refused", get("/v1/books/%ff"), refused("INVALID_PATH", "id")],
];

const kinds = (query: string): RawRequest => get(`/v1/kinds?${query}`);
const scalars: Case[] = [
  ["V1", "true is true", kinds("boolValue=true"), ok({ boolValue: true })],
  ["V1", "1 is no boolean", kinds("boolValue=1"), refused("INVALID_VALUE", "boolValue")],
  ["V1", "True is no boolean", get("/v1/kinds/bool/True"), refused("INVALID_VALUE", "boolValue")],
  ["V2", "a negative integer", get("/v1/kinds/int32/-2147483648"), ok({ int32Value: -2147483648 })],
  [
    "V2",
    "an integer out of range is refused",
    get("/v1/kinds/int32/2147483648"),
    refused("INVALID_VALUE", "int32Value"),
  ],
  ["V2", "hexadecimal is refused", get("/v1/kinds/int32/0x10"), refused("INVALID_VALUE", "int32Value")],
  ["V2", "a leading zero is refused", get("/v1/kinds/int32/010"), refused("INVALID_VALUE", "int32Value")],
  ["V2", "an exponent is refused", get("/v1/kinds/int32/1e2"), refused("INVALID_VALUE", "int32Value")],
  [
    "V2",
    "the largest uint64 is exact",
    get("/v1/kinds/uint64/18446744073709551615"),
    ok({ uint64Value: "18446744073709551615" }),
  ],
  [
    "V2",
    "beyond uint64 is refused",
    get("/v1/kinds/uint64/18446744073709551616"),
    refused("INVALID_VALUE", "uint64Value"),
  ],
  ["V2", "a negative unsigned is refused", kinds("uint32Value=-1"), refused("INVALID_VALUE", "uint32Value")],
  [
    "V2",
    "int64 beyond doubles is exact",
    kinds("int64Value=9007199254740993"),
    ok({ int64Value: "9007199254740993" }),
  ],
  ["V3", "a double with exponent", kinds("doubleValue=-1.5e10"), ok({ doubleValue: -15000000000 })],
  [
    "V3",
    "Infinity and NaN have names",
    kinds("doubleValue=-Infinity&floatValue=NaN"),
    ok({ doubleValue: "-Infinity", floatValue: "NaN" }),
  ],
  ["V3", "inf is no name", kinds("doubleValue=inf"), refused("INVALID_VALUE", "doubleValue")],
  ["V3", "a float out of range is refused", kinds("floatValue=1e39"), refused("INVALID_VALUE", "floatValue")],
  [
    "V3",
    "a double out of range is refused",
    kinds("doubleValue=1e400"),
    refused("INVALID_VALUE", "doubleValue"),
  ],
  ["V4", "an enum by name", get("/v1/kinds/genre/GENRE_SCIENCE"), ok({ genre: "GENRE_SCIENCE" })],
  ["V4", "an enum by number", kinds("genre=1"), ok({ genre: "GENRE_FICTION" })],
  ["V4", "an unknown enum number stays a number", kinds("genre=77"), ok({ genre: 77 })],
  ["V4", "an enum's case counts", kinds("genre=genre_science"), refused("INVALID_VALUE", "genre")],
  ["V5", "base64url without padding", get("/v1/kinds/bytes/-_8"), ok({ bytesValue: "+/8=" })],
  ["V5", "base64 with padding", kinds("bytesValue=%2B%2F8%3D"), ok({ bytesValue: "+/8=" })],
  ["V5", "no base64 is refused", kinds("bytesValue=a*b"), refused("INVALID_VALUE", "bytesValue")],
  [
    "V6",
    "a time with offset",
    get("/v1/kinds/time/2024-02-29T12:00:00.5%2B01:00"),
    ok({ time: "2024-02-29T11:00:00.500Z" }),
  ],
  [
    "V6",
    "a day that does not exist is refused",
    kinds("time=2023-02-29T00:00:00Z"),
    refused("INVALID_VALUE", "time"),
  ],
  [
    "V6",
    "a time without offset is refused",
    kinds("time=2023-02-28T00:00:00"),
    refused("INVALID_VALUE", "time"),
  ],
  ["V6", "a duration in seconds", kinds("length=-1.5s"), ok({ length: "-1.500s" })],
  ["V6", "Go's duration syntax is refused", kinds("length=1h30m"), refused("INVALID_VALUE", "length")],
  ["V6", "text after a duration is refused", kinds("length=1sx"), refused("INVALID_VALUE", "length")],
  [
    "V7",
    "a mask in both spellings",
    kinds("mask=displayTitle,page_count"),
    ok({ mask: "displayTitle,pageCount" }),
  ],
  ["V8", "a wrapper takes its scalar", get("/v1/kinds/wrapped/x"), ok({ wrappedString: "x" })],
  ["V8", "an empty wrapper is present", kinds("wrappedString="), ok({ wrappedString: "" })],
  [
    "V8",
    "a wrapped integer is exact",
    kinds("wrappedInt64=9007199254740993"),
    ok({ wrappedInt64: "9007199254740993" }),
  ],
  ["V9", "a Struct has no text form", kinds("free=%7B%7D"), refused("NOT_A_QUERY_FIELD", "free")],
];

const queries: Case[] = [
  [
    "Q1",
    "with body * the query binds nothing",
    post("/v1/kinds?stringValue=x", "{}"),
    refused("UNKNOWN_QUERY_PARAMETER", "stringValue"),
  ],
  [
    "Q1",
    "beside a named body the query binds the rest",
    put("/v1/books/a?allowMissing=true", "{}"),
    ok({ subtitle: "true" }),
  ],
  ["Q2", "a dotted path", kinds("nested.deeper.textValue=x"), ok({ nested: { deeper: { textValue: "x" } } })],
  [
    "Q2",
    "proto names step by step",
    kinds("nested.deeper.text_value=x"),
    ok({ nested: { deeper: { textValue: "x" } } }),
  ],
  ["Q2", "names may be escaped", kinds("nested%2EtextValue=x"), ok({ nested: { textValue: "x" } })],
  [
    "Q3",
    "a repeated field keeps its order",
    kinds("strings=b&numbers=2&strings=a&numbers=1"),
    ok({ strings: ["b", "a"], numbers: [2, 1] }),
  ],
  ["Q3", "commas do not split", kinds("strings=a,b"), ok({ strings: ["a,b"] })],
  [
    "Q3",
    "repeated enums and wrappers",
    kinds("genres=1&genres=GENRE_SCIENCE&wrappedStrings=x"),
    ok({ genres: ["GENRE_FICTION", "GENRE_SCIENCE"], wrappedStrings: ["x"] }),
  ],
  ["Q4", "a repeated message is refused", kinds("authors=x"), refused("NOT_A_QUERY_FIELD", "authors")],
  [
    "Q4",
    "stepping through a list is refused",
    kinds("authors.givenName=x"),
    refused("NOT_A_QUERY_FIELD", "authors.givenName"),
  ],
  ["Q4", "a message is refused", kinds("nested=x"), refused("NOT_A_QUERY_FIELD", "nested")],
  ["Q5", "a map is refused", kinds("counts=x"), refused("NOT_A_QUERY_FIELD", "counts")],
  [
    "Q6",
    "a singular field twice is refused",
    kinds("stringValue=a&stringValue=b"),
    refused("DUPLICATE_QUERY_PARAMETER", "stringValue"),
  ],
  [
    "Q6",
    "a singular field in both spellings is refused",
    kinds("stringValue=a&string_value=b"),
    refused("DUPLICATE_QUERY_PARAMETER", "stringValue"),
  ],
  [
    "Q7",
    "a field bound by the path is refused",
    get("/v1/books/a?id=b"),
    refused("FIELD_BOUND_BY_PATH", "id"),
  ],
  [
    "Q8",
    "a field below the named body is refused",
    put("/v1/books/a?book.displayTitle=x", "{}"),
    refused("FIELD_BOUND_BY_BODY", "book.displayTitle"),
  ],
  [
    "Q9",
    "two members of a oneof are refused",
    kinds("choiceString=a&choiceNumber=1"),
    refused("ONEOF_SET_TWICE", "choiceNumber"),
  ],
  [
    "Q9",
    "a oneof member from the path excludes the others",
    get("/v1/kinds/choice/a?choiceNumber=1"),
    refused("ONEOF_SET_TWICE", "choiceNumber"),
  ],
  ["Q9", "one member of a oneof", kinds("choiceNested.number=5"), ok({ choiceNested: { number: "5" } })],
  [
    "Q10",
    "an unknown name is refused",
    get("/v1/books/a?nope=1"),
    refused("UNKNOWN_QUERY_PARAMETER", "nope"),
  ],
  [
    "Q10",
    "__proto__ is an unknown name",
    get("/v1/books/a?__proto__.x=1"),
    refused("UNKNOWN_QUERY_PARAMETER", "__proto__.x"),
  ],
  [
    "Q10",
    "constructor is an unknown name",
    get("/v1/books/a?constructor=1"),
    refused("UNKNOWN_QUERY_PARAMETER", "constructor"),
  ],
  ["Q10", "utm_ names are ignored", get("/v1/books/a?utm_source=x&utm_medium=y"), ok({ id: "a" })],
  ["Q11", "a plus is a space", kinds("stringValue=a+b%2Bc"), ok({ stringValue: "a b+c" })],
  ["Q12", "an empty text is a string", kinds("maybeString="), ok({ maybeString: "" })],
  ["Q12", "an empty number is refused", kinds("int32Value="), refused("INVALID_VALUE", "int32Value")],
  ["Q13", "a name alone is empty text", kinds("maybeString"), ok({ maybeString: "" })],
  ["Q13", "empty pairs are nothing", kinds("&&stringValue=x&"), ok({ stringValue: "x" })],
  ["section 2", "cut UTF-8 is refused", kinds("stringValue=%E2%9C"), refused("INVALID_QUERY", "stringValue")],
  [
    "section 2",
    "a broken escape is refused",
    kinds("stringValue=%"),
    refused("INVALID_QUERY", "stringValue"),
  ],
];

const bodies: Case[] = [
  [
    "B1",
    "a body nobody maps is ignored",
    { ...post("/v1/books/a", "not json"), method: "GET" },
    ok({ id: "a" }),
  ],
  ["B2", "an empty body is an empty message", post("/v1/books", ""), ok({ id: "" })],
  [
    "B3",
    "a list as body and answer",
    post("/v1/kinds/list", '["a","b"]'),
    { status: 200, body: '["a","b"]' },
  ],
  ["B3", "a map as body and answer", post("/v1/kinds/map", '{"a":1}'), { status: 200, body: '{"a":1}' }],
  [
    "B3",
    "a 64-bit scalar as body and answer",
    post("/v1/kinds/scalar", "9007199254740993"),
    { status: 200, body: '"9007199254740993"' },
  ],
  [
    "B3",
    "an enum as body and answer",
    post("/v1/kinds/enum", '"GENRE_SCIENCE"'),
    { status: 200, body: '"GENRE_SCIENCE"' },
  ],
  ["B3", "a wrapper as body and answer", post("/v1/kinds/wrapper", '"5"'), { status: 200, body: '"5"' }],
  [
    "B4",
    "both spellings of a member",
    post("/v1/books", { display_title: "t", pageCount: 3 }),
    ok({ displayTitle: "t", pageCount: 3 }),
  ],
  [
    "B4",
    "null is absent",
    post("/v1/books", { author: null, tags: null, pageCount: null }),
    ok({ pageCount: 0, tags: [] }),
  ],
  [
    "B4",
    "64-bit integers as text or number",
    post("/v1/kinds", '{"int64Value":"-5","uint64Value":7}'),
    ok({ int64Value: "-5", uint64Value: "7" }),
  ],
  [
    "B4",
    "an unquoted integer above 2^53 is exact",
    post("/v1/books", '{"copiesSold":9007199254740993}'),
    ok({ copiesSold: "9007199254740993" }),
  ],
  [
    "B4",
    "an exact integer inside a wrapper",
    post("/v1/kinds", '{"wrappedInt64":9007199254740993}'),
    ok({ wrappedInt64: "9007199254740993" }),
  ],
  [
    "B4",
    "an exact integer inside a nested message",
    post("/v1/kinds", '{"nested":{"deeper":{"number":-9007199254740993}}}'),
    ok({ nested: { deeper: { number: "-9007199254740993" } } }),
  ],
  [
    "B4",
    "a long number in a Struct stays a double",
    post("/v1/books", '{"extra":{"n":9007199254740993}}'),
    ok({ extra: { n: 9007199254740992 } }),
  ],
  [
    "B4",
    "an integer with a fraction is refused",
    post("/v1/books", '{"pageCount":1.5}'),
    refused("INVALID_VALUE", "pageCount"),
  ],
  ["B4", "an integer as 1e2", post("/v1/books", '{"pageCount":1e2}'), ok({ pageCount: 100 })],
  [
    "B4",
    "a 64-bit integer beyond range is refused",
    post("/v1/books", '{"copiesSold":9223372036854775808}'),
    refused("INVALID_VALUE", "copiesSold"),
  ],
  [
    "B4",
    "enums by name or number",
    post("/v1/kinds", '{"genre":2,"genres":["GENRE_FICTION",77]}'),
    ok({ genre: "GENRE_SCIENCE", genres: ["GENRE_FICTION", 77] }),
  ],
  ["B4", "base64 in both alphabets", post("/v1/kinds", '{"bytesValue":"-_8"}'), ok({ bytesValue: "+/8=" })],
  ["B5", "an unknown member is dropped", post("/v1/books", '{"id":"a","nope":{"x":[1]}}'), ok({ id: "a" })],
  [
    "B5",
    "an unknown member below is dropped",
    post("/v1/books", '{"author":{"givenName":"g","nope":1}}'),
    ok({ author: { givenName: "g" } }),
  ],
  [
    "B5",
    "an unknown member is refused where the gateway says so",
    post("/v1/books", '{"author":{"nope":1}}'),
    strictly(refused("UNKNOWN_MEMBER", "author.nope")),
  ],
  [
    "B5",
    "mass assignment is refused where the gateway says so",
    post("/v1/books", '{"id":"a","role":"admin"}'),
    strictly(refused("UNKNOWN_MEMBER", "role")),
  ],
  [
    "B6",
    "an unknown enum name is refused",
    post("/v1/books", '{"genre":"GENRE_NOPE"}'),
    refused("INVALID_VALUE", "genre"),
  ],
  [
    "B6",
    "an unknown enum name is refused beside a dropped member",
    post("/v1/books", '{"nope":1,"genre":"GENRE_NOPE"}'),
    refused("INVALID_VALUE", "genre"),
  ],
  [
    "B7",
    "a field in both spellings is refused",
    post("/v1/books", '{"display_title":"a","displayTitle":"b"}'),
    refused("DUPLICATE_MEMBER"),
  ],
  [
    "B8",
    "the path wins over the body",
    put("/v1/books/a", { id: "b", displayTitle: "t" }),
    ok({ id: "a", displayTitle: "t" }),
  ],
  [
    "B9",
    "another media type is 415",
    post("/v1/books", "id=a", { "content-type": "application/x-www-form-urlencoded" }),
    { status: 415, json: { reason: "UNSUPPORTED_MEDIA_TYPE" } },
  ],
  [
    "B9",
    "another charset is 415",
    post("/v1/books", "{}", { "content-type": "application/json; charset=utf-16" }),
    { status: 415 },
  ],
  [
    "B9",
    "a +json type in UTF-8 is JSON",
    post("/v1/books", '{"id":"a"}', { "content-type": "application/merge-patch+json; charset=UTF-8" }),
    ok({ id: "a" }),
  ],
  ["B10", "gzip", post("/v1/books", gzipSync('{"id":"z"}'), { "content-encoding": "gzip" }), ok({ id: "z" })],
  [
    "B10",
    "brotli",
    post("/v1/books", brotliCompressSync('{"id":"z"}'), { "content-encoding": "br" }),
    ok({ id: "z" }),
  ],
  [
    "B10",
    "deflate",
    post("/v1/books", deflateSync('{"id":"z"}'), { "content-encoding": "deflate" }),
    ok({ id: "z" }),
  ],
  [
    "B10",
    "zstd",
    post("/v1/books", zstdCompressSync('{"id":"z"}'), { "content-encoding": "zstd" }),
    ok({ id: "z" }),
  ],
  [
    "B10",
    "an unknown encoding is 415",
    post("/v1/books", "{}", { "content-encoding": "lzma" }),
    { status: 415, json: { reason: "UNSUPPORTED_ENCODING" } },
  ],
  [
    "B10",
    "broken gzip is refused",
    post("/v1/books", "{}", { "content-encoding": "gzip" }),
    refused("INVALID_ENCODING"),
  ],
  [
    "B10",
    "the limit counts decoded bytes",
    post("/v1/books", gzipSync(Buffer.alloc(3_000_000, 32)), { "content-encoding": "gzip" }),
    { status: 413 },
  ],
  [
    "B11",
    "PATCH derives its mask from the members",
    patch("/v1/books/a", {
      displayTitle: "t",
      author: { born: 1, coAuthor: { givenName: "g" } },
      tags: [],
      labels: { a: "b" },
      published: null,
    }),
    ok({ updateMask: "author.born,author.coAuthor.givenName,displayTitle,labels,published,tags" }),
  ],
  [
    "B11",
    "well-known types are leaves of the mask",
    patch("/v1/books/a", { extra: { a: 1 }, published: "2024-01-01T00:00:00Z" }),
    ok({ updateMask: "extra,published" }),
  ],
  [
    "B12",
    "an explicit mask wins",
    patch("/v1/books/a?updateMask=displayTitle", { displayTitle: "t", pageCount: 1 }),
    ok({ updateMask: "displayTitle" }),
  ],
  [
    "B13",
    "HttpBody takes raw bytes and their type",
    post("/v1/webhooks", '{ "a" :1}\n', {
      "content-type": "application/json; charset=utf-8",
      "x-signature": "t=1,v1=abc",
    }),
    {
      status: 200,
      body: 't=1,v1=abc|{ "a" :1}\n',
      headers: { "content-type": "application/json; charset=utf-8" },
    },
  ],
  [
    "B13",
    "HttpBody in a field, path and query beside it",
    put("/v1/uploads/n?note=hi", Buffer.from([0xff, 0, 1]), { "content-type": "image/png" }),
    ok({ name: "n", note: "hi", contentType: "image/png", data: "/wAB" }),
  ],
];

const hostileJson: Case[] = [
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
    refused("INVALID_VALUE", "doubleValue"),
  ],
  [
    "hostile 39",
    "a number beyond doubles in a Struct is refused",
    post("/v1/books", '{"extra":{"n":1e400}}'),
    refused("INVALID_VALUE"),
  ],
  ["hostile 39", "NaN is no JSON", post("/v1/kinds", '{"doubleValue":NaN}'), refused("INVALID_JSON")],
  [
    "hostile 40",
    "half a surrogate pair is refused",
    post("/v1/books", '{"author":{"givenName":"\\ud800"}}'),
    refused("INVALID_VALUE", "author.givenName"),
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
  [
    "hostile 43",
    "an array where an object is due",
    post("/v1/books", '{"author":[]}'),
    refused("INVALID_VALUE", "author"),
  ],
  [
    "hostile 43",
    "an element of the wrong type is named by its place",
    post("/v1/kinds", '{"authors":[{"born":1},{"born":"x"}]}'),
    refused("INVALID_VALUE", "authors[1].born"),
  ],
  ["hostile 43", "an array as the whole body", post("/v1/books", "[]"), refused("INVALID_VALUE")],
  ["hostile 43", "null as the whole body", post("/v1/books", "null"), refused("INVALID_VALUE")],
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
];

const answers: Case[] = [
  ["R1", "Empty is {}", method("DELETE", "/v1/books/a"), { status: 200, body: "{}" }],
  [
    "R2",
    "defaults are shown, unset messages are not",
    get("/v1/books/a"),
    {
      status: 200,
      body: '{"id":"a","displayTitle":"","genre":"GENRE_UNSPECIFIED","pageCount":0,"labels":{},"tags":[],"copiesSold":"0","name":""}',
    },
  ],
  ["R3", "an unset list is []", post("/v1/kinds/list", "[]"), { status: 200, body: "[]" }],
  ["R3", "an unset message is null", get("/v1/kinds/nested"), { status: 200, body: "null" }],
  [
    "R4",
    "Any is shown by its type",
    post("/v1/books", {
      packed: { "@type": "type.googleapis.com/edge.testing.v1.Author", givenName: "g", nope: 1 },
    }),
    ok({ packed: { "@type": "type.googleapis.com/edge.testing.v1.Author", givenName: "g" } }),
  ],
  [
    "R4",
    "Any of an unknown type is refused",
    post("/v1/books", { packed: { "@type": "type.googleapis.com/nope.Nope" } }),
    refused("INVALID_VALUE", "packed"),
  ],
  [
    "R6",
    "a stream is bare lines",
    get("/v1/books:watch?count=2"),
    { status: 200, headers: { "content-type": "application/x-ndjson" } },
  ],
  [
    "R7",
    "a stream of HttpBody is concatenated",
    get("/v1/download?count=3"),
    { status: 200, body: "part 0;part 1;part 2;", headers: { "content-type": "text/plain" } },
  ],
  [
    "R9",
    "a stream that fails first has an HTTP status",
    get("/v1/books:watch?failWith=7"),
    { status: 403, json: { code: "PERMISSION_DENIED" } },
  ],
  ...(
    [
      [1, 499],
      [2, 500],
      [3, 400],
      [4, 504],
      [5, 404],
      [6, 409],
      [7, 403],
      [8, 429],
      [9, 400],
      [10, 409],
      [11, 400],
      [12, 501],
      [13, 500],
      [14, 503],
      [15, 500],
      [16, 401],
    ] as const
  ).map(
    ([code, status]): Case => [
      "X1",
      `gRPC ${code} is HTTP ${status}`,
      get(`/v1/fail/${code}?message=why`),
      { status, json: { status, detail: [2, 13, 15].includes(code) ? "internal error" : "why" } },
    ],
  ),
  [
    "X5",
    "forged and hop-by-hop headers do not pass",
    get("/v1/call", {
      "x-user-id": "root",
      "x-internal-role": "admin",
      "grpc-status": "0",
      "x-forwarded-for": "1.2.3.4",
      connection: "close, x-hop",
      "x-hop": "1",
      "x-kept": "yes",
      authorization: "Bearer t",
    }),
    ok({ metadata: { "x-kept": "yes", authorization: "Bearer t", "x-forwarded-for": "127.0.0.1" } }),
  ],
  [
    "X6",
    "listed metadata becomes headers",
    get("/v1/call"),
    { status: 200, headers: { "x-shelf": "seven" } },
  ],
  [
    "X7",
    "a timeout that is none is refused",
    get("/v1/call", { "connect-timeout-ms": "soon" }),
    refused("INVALID_TIMEOUT"),
  ],
  [
    "X7",
    "nine digits are no timeout",
    get("/v1/call", { "grpc-timeout": "123456789m" }),
    refused("INVALID_TIMEOUT"),
  ],
  [
    "X7",
    "the caller's timeout ends the call",
    get("/v1/wait?waitMs=5000", { "connect-timeout-ms": "50" }),
    { status: 504, json: { reason: "DEADLINE_EXCEEDED", code: "DEADLINE_EXCEEDED" } },
  ],
  [
    "X4",
    "an answer too large for the edge is 502",
    get("/v1/call?answerBytes=5000000"),
    { status: 502, json: { reason: "RESPONSE_TOO_LARGE" } },
  ],
];

const cases = [...matching, ...decoding, ...scalars, ...queries, ...bodies, ...hostileJson, ...answers];

test.each(cases)("%s: %s", async (_rule, _fact, request, expected) => {
  const answer = await sendRaw((expected.rejecting ? rejecting : dropping).port, request);
  expect({ status: answer.status, body: answer.status === expected.status ? "" : answer.body }).toEqual({
    status: expected.status,
    body: "",
  });
  if (expected.json !== undefined) expect(answer.json()).toMatchObject(expected.json as object);
  if (expected.body !== undefined) expect(answer.body).toBe(expected.body);
  if (expected.headers !== undefined) expect(answer.headers).toMatchObject(expected.headers);
  if (answer.status >= 400 && request.method !== "HEAD")
    expect(answer.headers["content-type"]).toBe("application/problem+json");
});

test("headers that must not pass are not among the backend's metadata", async () => {
  const answer = await sendRaw(
    dropping.port,
    get("/v1/call", {
      "x-user-id": "root",
      "x-internal-role": "admin",
      connection: "close, x-hop",
      "x-hop": "1",
    }),
  );
  const seen = Object.keys((answer.json() as { metadata: object }).metadata);
  expect(seen.filter((name) => /^x-(user|internal|hop)/.test(name))).toEqual([]);
  expect(answer.headers).not.toHaveProperty("x-secret");
});
