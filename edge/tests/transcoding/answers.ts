import { by, type Case, get, ok, post, refused, says } from "./case.ts";

const notes = "/v1/shelves/top/notes";
const events = { accept: "text/event-stream" };
const array = { accept: "application/json" };
const note = (text: string) => `{"text":"${text}","shelf":"top","failWith":0}`;
const collected = (...texts: string[]) => ok({ notes: texts.map((text) => ({ text })) });

/** What answers and streams look like (1.7). */
export const answers: readonly Case[] = [
  ["R1", "Empty is {}", by("DELETE", "/v1/books/a"), says("{}", { "content-type": "application/json" })],
  ["R1", "an answer says its length", get("/v1/files/a"), says('{"path":"a"}', { "content-length": "12" })],
  [
    "R2",
    "defaults are shown, unset messages are not",
    get("/v1/books/a"),
    says(
      '{"id":"a","displayTitle":"","genre":"GENRE_UNSPECIFIED","pageCount":0,"labels":{},"tags":[],"copiesSold":"0","name":""}',
    ),
  ],
  [
    "R2",
    "a default with presence is shown when it is present",
    get("/v1/every?maybeNumber=0"),
    ok({ maybeNumber: 0 }),
  ],
  ["R3", "one field is the whole answer", post("/v1/kinds/list", '["a"]'), says('["a"]')],
  ["R3", "an unset list is []", post("/v1/kinds/list", "[]"), says("[]")],
  ["R3", "an unset map is {}", post("/v1/kinds/map", ""), says("{}")],
  ["R3", "an unset message is null", get("/v1/kinds/nested"), says("null")],
  ["R3", "an unset scalar is its default", post("/v1/every/double", ""), says("0")],
  ["R3", "an unset Value is null", post("/v1/every/value", ""), says("null")],
  [
    "R4",
    "64-bit integers are text",
    get("/v1/every?big=18446744073709551615"),
    ok({ big: "18446744073709551615" }),
  ],
  [
    "R4",
    "32-bit integers are numbers",
    get("/v1/every?fixed32Value=4294967295"),
    ok({ fixed32Value: 4294967295 }),
  ],
  ["R4", "bytes are standard base64 with padding", get("/v1/every?data=-_8"), ok({ data: "+/8=" })],
  [
    "R4",
    "enums are names, unknown ones numbers",
    get("/v1/every?shade=2&shades=77"),
    ok({ shade: "SHADE_DARK", shades: [77] }),
  ],
  [
    "R4",
    "times in UTC with 0, 3, 6 or 9 digits",
    get("/v1/every?times=2024-01-01T01:00:00.01%2B01:00&times=2024-01-01T00:00:00.00001Z"),
    ok({ times: ["2024-01-01T00:00:00.010Z", "2024-01-01T00:00:00.000010Z"] }),
  ],
  [
    "R4",
    "wrappers are bare",
    get("/v1/every?wrappedString=a&wrappedBool=false"),
    ok({ wrappedString: "a", wrappedBool: false }),
  ],
  [
    "R4",
    "an Any is shown by its type",
    post("/v1/books", { packed: { "@type": "type.googleapis.com/edge.testing.v1.Author", givenName: "g" } }),
    ok({ packed: { "@type": "type.googleapis.com/edge.testing.v1.Author", givenName: "g" } }),
  ],
  [
    "R5",
    "HttpBody is raw, with its type",
    post("/v1/webhooks", "<a/>", { "content-type": "text/xml" }),
    says("|<a/>", { "content-type": "text/xml" }),
  ],
  [
    "R5",
    "a type that is no header is not sent",
    post("/v1/webhooks", "a", { "content-type": "" }),
    says("|a", { "content-type": "application/octet-stream" }),
  ],
  [
    "R6",
    "a stream is bare lines",
    get(`${notes}:follow?count=2`),
    says(`${note("note 0")}\n${note("note 1")}\n`, { "content-type": "application/x-ndjson" }),
  ],
  [
    "R6",
    "events by Accept",
    get(`${notes}:follow?count=2`, events),
    says(`data: ${note("note 0")}\n\ndata: ${note("note 1")}\n\n`, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    }),
  ],
  [
    "R6",
    "an array by Accept",
    get(`${notes}:follow?count=2`, array),
    says(`[${note("note 0")},\n${note("note 1")}]`, { "content-type": "application/json" }),
  ],
  [
    "R6",
    "what Accept prefers",
    get(`${notes}:follow`, { accept: "application/json;q=0.2, text/event-stream;q=0.9" }),
    says("", { "content-type": "text/event-stream" }),
  ],
  [
    "R6",
    "anything is lines",
    get(`${notes}:follow`, { accept: "*/*" }),
    says("", { "content-type": "application/x-ndjson" }),
  ],
  [
    "R6",
    "lines by another name",
    get(`${notes}:follow`, { accept: "application/jsonl" }),
    says("", { "content-type": "application/jsonl" }),
  ],
  ["R6", "an empty array", get(`${notes}:follow`, array), says("[]")],
  ["R6", "one field of each message", get(`${notes}:texts?count=2`), says('"note 0"\n"note 1"\n')],
  [
    "R6",
    "a stream asked for by a body",
    post("/v1/notes:follow", '{"count":1,"shelf":"top"}'),
    says(`${note("note 0")}\n`),
  ],
  [
    "R7",
    "a stream of HttpBody is concatenated",
    get("/v1/download?count=3"),
    says("part 0;part 1;part 2;", { "content-type": "text/plain" }),
  ],
  [
    "R7",
    "whatever Accept says",
    get("/v1/download?count=2", array),
    says("part 0;part 1;", { "content-type": "text/plain" }),
  ],
  [
    "R8",
    "values behind each other",
    post("/v1/notes:collect", '{"text":"a"}{"text":"b"}'),
    collected("a", "b"),
  ],
  [
    "R8",
    "lines",
    post("/v1/notes:collect", '{"text":"a"}\r\n{"text":"b"}\n', { "content-type": "application/x-ndjson" }),
    collected("a", "b"),
  ],
  ["R8", "one array", post("/v1/notes:collect", ' [{"text":"a"} , {"text":"b"}] '), collected("a", "b")],
  ["R8", "no values", post("/v1/notes:collect", ""), collected()],
  [
    "R8",
    "an array that breaks off is refused",
    post("/v1/notes:collect", '[{"text":"a"},'),
    refused("INVALID_JSON"),
  ],
  [
    "R8",
    "a value behind the array is refused",
    post("/v1/notes:collect", '[{"text":"a"}]{}'),
    refused("INVALID_JSON"),
  ],
  [
    "R8",
    "a caller's stream answered by a stream",
    post("/v1/notes:converse", '{"text":"a"}', array),
    { status: 200, json: [{ text: "welcome" }, { text: "you said a" }] },
  ],
  [
    "R9",
    "a stream that fails first has an HTTP status",
    get(`${notes}:follow?failWith=7`),
    { status: 403, json: { code: "PERMISSION_DENIED" } },
  ],
  [
    "R9",
    "as events too",
    get(`${notes}:follow?failWith=5`, events),
    { status: 404, json: { code: "NOT_FOUND" } },
  ],
  [
    "R10",
    "a stream that fails later ends with the problem as a line",
    get(`${notes}:texts?count=1&failWith=5`),
    says(
      '"note 0"\n{"error":{"type":"about:blank","title":"Not Found","status":404,"detail":"told to","code":"NOT_FOUND","reason":"NOT_FOUND","domain":"grpc"}}\n',
    ),
  ],
  [
    "R10",
    "events end with one named error",
    get(`${notes}:texts?count=1&failWith=13`, events),
    says(
      'data: "note 0"\n\nevent: error\ndata: {"type":"about:blank","title":"Internal Server Error","status":500,"detail":"internal error","code":"INTERNAL","reason":"INTERNAL","domain":"grpc"}\n\n',
    ),
  ],
  [
    "R10",
    "an array ends with it as an element",
    get(`${notes}:follow?count=1&failWith=5`, array),
    { status: 200, json: [{ text: "note 0" }, { error: { status: 404, code: "NOT_FOUND" } }] },
  ],
];
