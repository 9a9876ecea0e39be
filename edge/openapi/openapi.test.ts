import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { createEdge } from "#edge/edge.ts";
import { file_edge_testing_v1_library } from "#gen/edge/testing/v1/library_pb.ts";
import { describeRoutes } from "./openapi.ts";

const { routes } = createEdge({
  registry: [file_edge_testing_v1_library],
  backendFor: () => ({ address: "http://127.0.0.1:1" }),
});

const document = describeRoutes(routes, {
  info: { title: "Library", version: "1" },
  servers: [{ url: "/" }],
  securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
  answerHeaders: { "X-Request": { schema: { type: "string" } } },
  factsOf: ({ name }) => ({
    successStatus: name === "CreateBook" ? 201 : 200,
    security: name === "GetBook" ? [] : [{ bearer: ["books"] }],
    parameters: [],
    refusals: [
      { code: 5, type: "about:blank", reason: "BOOK_GONE", domain: "library", meaning: "It is gone." },
      { code: 9, status: 409, type: "about:blank", reason: "BOOK_LENT", domain: "library", meaning: "Lent." },
    ],
  }),
  commentOf: (desc) => (desc.kind === "rpc" ? `Does ${desc.name}. And more.` : undefined),
  exampleOf: ({ name }) => (name === "page_count" ? 7 : undefined),
});

type Operation = JsonObject & {
  parameters?: { name: string; in: string; schema: JsonObject }[];
  requestBody?: { content: Record<string, { schema?: JsonObject; example?: JsonObject }> };
  responses: Record<string, { content: Record<string, { schema?: JsonObject }> }>;
};

const { paths, components } = document as unknown as {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonObject & { properties: Record<string, JsonObject> }> };
};

/** The operation of a route; fails where the document has none. */
function operation(method: string, path: string): Operation {
  const found = paths[path]?.[method];
  if (!found) throw new Error(`${method} ${path} is not among ${Object.keys(paths).join(", ")}`);
  return found;
}

const parametersIn = (where: string, { parameters = [] }: Operation) =>
  parameters.filter((parameter) => parameter.in === where).map(({ name }) => name);

test("every route is an operation, and every operation has a name of its own", () => {
  const operations = Object.values(paths).flatMap((item) => Object.values(item));
  expect(operations).toHaveLength(routes.length);
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(["LibraryService_GetBook", "LibraryService_GetBook_2"]));
});

describe("a path", () => {
  test("has a parameter for each wildcard, whatever variable binds it", () => {
    const shelves = operation("get", "/v1/shelves/{name_1}/books/{name_2}");
    expect(parametersIn("path", shelves)).toEqual(["name_1", "name_2"]);
    expect(parametersIn("path", operation("get", "/v1/books/{id}"))).toEqual(["id"]);
  });

  test("keeps its verb and its literals", () => {
    expect(paths).toHaveProperty(["/v1/books/{id}:preview"]);
    expect(paths).toHaveProperty(["/v1/books/featured"]);
  });
});

describe("a query", () => {
  test("has every field that neither path nor body fills, nested ones with their path", () => {
    const read = parametersIn("query", operation("get", "/v1/books/{id}"));
    expect(read).toContain("revision");
    expect(read).not.toContain("id");
    const replace = operation("put", "/v1/books/{book.id}");
    expect(parametersIn("query", replace)).toEqual(["allowMissing"]);
  });

  test("has nothing where the body is the whole message", () => {
    expect(parametersIn("query", operation("post", "/v1/books"))).toEqual([]);
  });
});

describe("a body", () => {
  test("is the whole message or one field of it, with an example", () => {
    const body = operation("post", "/v1/books").requestBody?.content["application/json"];
    expect(body?.schema).toEqual({ $ref: "#/components/schemas/edge.testing.v1.Book" });
    expect(body?.example).toMatchObject({ pageCount: 7 });
    const named = operation("put", "/v1/books/{book.id}").requestBody?.content["application/json"];
    expect(named?.schema).toMatchObject({ $ref: "#/components/schemas/edge.testing.v1.Book" });
  });

  test("of raw bytes may be of any type", () => {
    const raw = Object.values(paths).flatMap((item) => Object.values(item));
    const types = raw.flatMap(({ requestBody }) => Object.keys(requestBody?.content ?? {}));
    expect(types).toContain("*/*");
  });
});

describe("an answer", () => {
  test("has the status of its success, and each refusal under its own", () => {
    const { responses } = operation("post", "/v1/books");
    expect(Object.keys(responses)).toEqual(["201", "404", "409"]);
    expect(Object.keys(responses["404"]?.content ?? {})).toEqual(["application/problem+json"]);
    expect(responses["409"]).toMatchObject({ description: expect.stringContaining("`BOOK_LENT`: Lent.") });
    expect(document.components).toMatchObject({
      examples: { "library.BOOK_LENT": { value: { status: 409, code: "FAILED_PRECONDITION" } } },
    });
  });

  test("in a stream has the forms of a stream", () => {
    const watch = routes.find(({ method }) => method.name === "WatchBooks");
    const { responses } = operation("get", watch?.template ?? "");
    const forms = ["application/x-ndjson", "text/event-stream", "application/json"];
    expect(Object.keys(responses["200"]?.content ?? {})).toEqual(forms);
  });
});

test("an operation says who may call it, and what it does in short and at length", () => {
  expect(operation("get", "/v1/books/{id}")).toMatchObject({
    security: [],
    summary: "Does GetBook",
    description: "Does GetBook. And more.",
  });
  expect(operation("post", "/v1/books")).toMatchObject({ security: [{ bearer: ["books"] }] });
});

test("messages that contain themselves are described, and their examples end", () => {
  const author = components.schemas["edge.testing.v1.Author"];
  expect(author?.properties.coAuthor).toMatchObject({ $ref: "#/components/schemas/edge.testing.v1.Author" });
  expect(JSON.stringify(document).length).toBeLessThan(1_000_000);
});

test("values are described as ProtoJSON writes them", () => {
  const properties = components.schemas["edge.testing.v1.Kinds"]?.properties ?? {};
  const typeOf = (name: string) => properties[name]?.type;
  const types = Object.fromEntries(Object.keys(properties).map((name) => [name, typeOf(name)]));
  expect(types).toMatchObject({
    boolValue: "boolean",
    int32Value: "integer",
    int64Value: "string",
    doubleValue: "number",
    bytesValue: "string",
    time: "string",
    wrappedInt64: "string",
    genres: "array",
    counts: "object",
    packed: "object",
  });
  expect(properties.genre).toMatchObject({ $ref: "#/components/schemas/edge.testing.v1.Genre" });
});
