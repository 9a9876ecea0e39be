import { create, createFileRegistry, type MessageInitShape, setExtension } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { file_edge_testing_v1_library } from "#gen/edge/testing/v1/library_pb.ts";
import { http } from "#gen/google/api/annotations_pb.ts";
import { type HttpRule, HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { createEdge } from "./edge.ts";

const library = file_edge_testing_v1_library;

/** Starts an edge over one made-up service whose methods take Kinds and answer Book. */
function edgeWith(
  rules: Record<string, HttpRule>,
  input = "Kinds",
  clientStreaming = false,
): ReturnType<typeof createEdge> {
  const methods = Object.entries(rules).map(([name, rule]) => {
    const options = create(MethodOptionsSchema);
    setExtension(options, http, rule);
    return create(MethodDescriptorProtoSchema, {
      name,
      inputType: `.edge.testing.v1.${input}`,
      outputType: ".edge.testing.v1.Book",
      options,
      clientStreaming,
    });
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "made/up.proto",
    package: "made.up",
    syntax: "proto3",
    dependency: [library.proto.name],
    service: [{ name: "MadeUpService", method: methods }],
  });
  const registry = createFileRegistry(file, (name) => (name === library.proto.name ? library : undefined));
  return createEdge({
    registry,
    services: (service) => service.typeName === "made.up.MadeUpService",
    backendFor: () => ({ address: "http://127.0.0.1:1" }),
  });
}

const rule = (init: MessageInitShape<typeof HttpRuleSchema>): HttpRule => create(HttpRuleSchema, init);
const get = (path: string): HttpRule => rule({ pattern: { case: "get", value: path } });
const custom = (kind: string, path: string, body = ""): HttpRule =>
  rule({ pattern: { case: "custom", value: { kind, path } }, body });
const post = (path: string, body: string): HttpRule => rule({ pattern: { case: "post", value: path }, body });

const badRules: [string, HttpRule, RegExp][] = [
  ["T1 a trailing slash", get("/v1/x/"), /template '\/v1\/x\/'/],
  ["T4 a tail behind **", get("/v1/{string_value=**}/x"), /last segment/],
  ["T5 a nested variable", get("/v1/{string_value={x}}"), /contain another/],
  ["T7 a variable twice", get("/v1/{string_value}/{string_value}"), /twice/],
  ["T9 an unknown field", get("/v1/{nope}"), /no such field/],
  ["T9 a JSON spelling", get("/v1/{stringValue}"), /no such field/],
  ["T9 a list", get("/v1/{strings}"), /no text form/],
  ["T9 a map", get("/v1/{counts}"), /no text form/],
  ["T9 a message", get("/v1/{nested}"), /no text form/],
  ["T9 a Struct", get("/v1/{free}"), /no text form/],
  ["T9 a step through a list", get("/v1/{authors.born}"), /stepped through/],
  ["T9 a step into a scalar", get("/v1/{string_value.x}"), /stepped through/],
  ["T9 a step into a well-known type", get("/v1/{time.seconds}"), /stepped through/],
  ["T10 a body that is no field", post("/v1/x", "nope"), /body 'nope'/],
  ["T10 a dotted body", post("/v1/x", "nested.deeper"), /body 'nested.deeper'/],
  ["T10 a response_body that is no field", { ...get("/v1/x"), responseBody: "nope" }, /response_body 'nope'/],
  ["T11 a body on GET", { ...get("/v1/x"), body: "*" }, /GET cannot have a body/],
  ["T11 a body on HEAD", custom("HEAD", "/v1/x", "*"), /HEAD cannot have a body/],
  [
    "T12 nested additional bindings",
    { ...get("/v1/x"), additionalBindings: [{ ...get("/v1/y"), additionalBindings: [get("/v1/z")] }] },
    /nested/,
  ],
  ["a rule without a pattern", rule({ body: "*" }), /no pattern/],
  ["a custom kind that is no method", custom("A B", "/v1/x"), /not an HTTP method/],
];

test.each(badRules)("an edge does not start with %s", (_what, bad, reason) => {
  expect(() => edgeWith({ Call: bad })).toThrow(reason);
});

test("T13: an edge does not start with one shape twice", () => {
  expect(() => edgeWith({ One: get("/v1/{string_value}/x"), Two: get("/v1/{bool_value=*}/x") })).toThrow(
    /same shape as .*MadeUpService.One/,
  );
});

test("T14: an edge does not start with path variables on a client stream", () => {
  expect(() => edgeWith({ Call: get("/v1/{string_value}") }, "Kinds", true)).toThrow(/client-streaming/);
});

test("every fault is named at once, with file, RPC and reason", () => {
  expect(() => edgeWith({ One: get("v1"), Two: get("/v1/{nope}") })).toThrow(
    /made\/up.proto: made.up.MadeUpService.One: .*begin with[\s\S]*made\/up.proto: made.up.MadeUpService.Two: .*no such field/,
  );
});

test("T10, T11: DELETE may have a body, and well-known scalars may be in a path", () => {
  const edge = edgeWith({
    One: rule({ pattern: { case: "delete", value: "/v1/{time}/{mask}" }, body: "*" }),
    Two: { ...get("/v1/{wrapped_int64}"), responseBody: "author" },
  });
  expect(
    edge.routes.map((route) => `${route.httpMethod} ${route.template} ${route.body} ${route.responseBody}`),
  ).toEqual(["DELETE /v1/{time}/{mask} * ", "GET /v1/{wrapped_int64}  author"]);
});
