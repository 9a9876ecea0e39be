import { by, type Case, fails, get, ok, post, refused, says } from "./case.ts";

const statuses = [499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
const masked = [2, 13, 15];
const call = (headers: Record<string, string>) => get("/v1/call", headers);
const sees = (metadata: Record<string, unknown>, withoutMetadata: readonly string[] = []) => ({
  ...ok({ metadata }),
  withoutMetadata,
});

/** Failures and headers in both directions (1.8). */
export const errorsAndHeaders: readonly Case[] = [
  ...statuses.map((status, at): Case => {
    const detail = masked.includes(at + 1) ? "internal error" : "why";
    return [
      "X1",
      `gRPC ${at + 1} is HTTP ${status}`,
      get(`/v1/fail/${at + 1}?message=why`),
      { status, json: { status, detail } },
    ];
  }),
  [
    "X1",
    "a status nobody defined is HTTP 500",
    get("/v1/fail/77?message=why"),
    { status: 500, json: { code: "UNKNOWN", detail: "internal error" } },
  ],
  [
    "X2",
    "a failure is a problem document with the backend's reason",
    get("/v1/fail/9?message=why&withDetails=true&info.reason=SOLD_OUT&info.domain=shop.test"),
    {
      status: 400,
      json: {
        type: "about:blank",
        title: "Bad Request",
        detail: "why",
        code: "FAILED_PRECONDITION",
        reason: "SOLD_OUT",
        domain: "shop.test",
      },
    },
  ],
  [
    "X2",
    "an internal failure's reason stays, its text does not",
    get("/v1/fail/13?message=secret"),
    { status: 500, json: { detail: "internal error", code: "INTERNAL" } },
  ],
  [
    "X2",
    "a text of the backend is text, whatever it holds",
    get("/v1/fail/5?message=%3Cb%3E%0Aa%C3%A9"),
    { status: 404, json: { detail: "<b>\naé" } },
  ],
  [
    "X3",
    "what cannot be read is 400 with the member at fault",
    post("/v1/books", '{"author":{"born":"x"}}'),
    { status: 400, json: { field: "author.born", violations: [{ field: "author.born" }] } },
  ],
  ["X3", "a bad path is a problem too", get("/v1/books/%"), refused("INVALID_PATH", "id")],
  ["X3", "no JSON is a problem too", post("/v1/books", "{"), refused("INVALID_JSON")],
  [
    "X4",
    "a body larger than the limit is 413",
    post("/v1/books", Buffer.alloc(1_100_000, 32)),
    {
      ...fails(413, "REQUEST_TOO_LARGE"),
      json: { code: "RESOURCE_EXHAUSTED", metadata: { maxRequestBytes: "1048576" } },
    },
  ],
  [
    "X4",
    "an answer too large for the edge is 502",
    get("/v1/call?answerBytes=5000000"),
    fails(502, "RESPONSE_TOO_LARGE"),
  ],
  [
    "X4",
    "a backend's own exhaustion is 429",
    get("/v1/fail/8?message=why"),
    { status: 429, json: { code: "RESOURCE_EXHAUSTED" } },
  ],
  [
    "X5",
    "headers are metadata",
    call({ "x-kept": "yes", authorization: "Bearer t" }),
    sees({ "x-kept": "yes", authorization: "Bearer t" }),
  ],
  [
    "X5",
    "forged facts do not pass",
    call({
      "x-user-id": "root",
      "x-internal-role": "admin",
      "x-forwarded-for": "1.2.3.4",
      forwarded: "for=1.2.3.4",
    }),
    sees({ "x-forwarded-for": "127.0.0.1" }, ["x-user-id", "x-internal-role", "forwarded"]),
  ],
  [
    "X5",
    "names of the protocols do not pass",
    call({ "grpc-status": "0", "grpc-encoding": "gzip", "connect-protocol-version": "1" }),
    sees({}, ["grpc-status", "grpc-encoding", "connect-protocol-version"]),
  ],
  [
    "X5",
    "hop-by-hop headers do not pass",
    call({
      "keep-alive": "5",
      te: "trailers",
      trailer: "x",
      "proxy-authorization": "x",
      "proxy-connection": "x",
    }),
    sees({}, ["keep-alive", "trailer", "proxy-authorization", "proxy-connection"]),
  ],
  [
    "X5",
    "what Connection lists does not pass",
    call({ connection: "close, X-Hop , x-other", "x-hop": "1", "x-other": "1" }),
    sees({}, ["x-hop", "x-other"]),
  ],
  [
    "X5",
    "host and what describes the body do not pass",
    { ...post("/v1/call", "{}", { "content-language": "en" }), method: "GET" },
    sees({}, ["host", "content-language", "content-length"]),
  ],
  [
    "X5",
    "a value outside printable ASCII does not pass",
    call({ "x-kept": "yes", "x-odd": "a\u00e9" }),
    sees({ "x-kept": "yes" }, ["x-odd"]),
  ],
  [
    "X5",
    "a name outside metadata's alphabet does not pass",
    call({ "x!odd": "a", "x-kept": "yes" }),
    sees({ "x-kept": "yes" }, ["x!odd"]),
  ],
  [
    "X5",
    "a binary header that is no base64 does not pass",
    call({ "x-odd-bin": "*", "x-kept": "yes" }),
    sees({ "x-kept": "yes" }, ["x-odd-bin"]),
  ],
  ["X6", "listed metadata becomes headers", call({}), { status: 200, headers: { "x-shelf": "seven" } }],
  [
    "X7",
    "the caller's deadline goes on, shortened",
    call({ "connect-timeout-ms": "0060000" }),
    { status: 200 },
  ],
  [
    "X7",
    "a timeout that is none is refused",
    call({ "connect-timeout-ms": "soon" }),
    refused("INVALID_TIMEOUT"),
  ],
  [
    "X7",
    "eleven digits are no timeout",
    call({ "connect-timeout-ms": "12345678901" }),
    refused("INVALID_TIMEOUT"),
  ],
  [
    "X7",
    "nine digits are no gRPC timeout",
    call({ "grpc-timeout": "123456789m" }),
    refused("INVALID_TIMEOUT"),
  ],
  ["X7", "a negative timeout is refused", call({ "grpc-timeout": "-1S" }), refused("INVALID_TIMEOUT")],
  ["X7", "a unit nobody knows is refused", call({ "grpc-timeout": "1s" }), refused("INVALID_TIMEOUT")],
  [
    "X7",
    "the caller's timeout ends the call",
    get("/v1/wait?waitMs=5000", { "connect-timeout-ms": "50" }),
    fails(504, "DEADLINE_EXCEEDED"),
  ],
  [
    "X7",
    "the shorter of two timeouts ends the call",
    get("/v1/wait?waitMs=5000", { "connect-timeout-ms": "9000", "grpc-timeout": "50m" }),
    fails(504, "DEADLINE_EXCEEDED"),
  ],
  [
    "X8",
    "backends learn who called under which name",
    get("/v1/call", { host: "shop.test:8080" }),
    sees({ "x-forwarded-for": "127.0.0.1", "x-forwarded-host": "shop.test:8080" }),
  ],
  [
    "X8",
    "a caller's word on it does not count",
    call({ "x-forwarded-host": "evil.test" }),
    sees({ "x-forwarded-host": "shop.test" }),
  ],
  [
    "X8",
    "correlation and trace go on",
    call({
      "x-correlation-id": "c1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }),
    sees({
      "x-correlation-id": "c1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }),
  ],
  ["X2", "HEAD of a failure has no document", by("HEAD", "/v1/books/%"), { status: 400, body: "" }],
  [
    "X2",
    "an answer's document has its type and length",
    get("/v1/fail/5?message=a"),
    { status: 404, headers: { "content-type": "application/problem+json" } },
  ],
  ["X6", "other metadata does not become headers", get("/v1/files/a"), says('{"path":"a"}')],
];
