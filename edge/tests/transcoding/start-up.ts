import { create, createFileRegistry, type MessageInitShape, setExtension } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { createEdge, type Edge } from "#edge/edge.ts";
import { file_edge_testing_v1_kinds } from "#gen/edge/testing/v1/kinds_pb.ts";
import { http } from "#gen/google/api/annotations_pb.ts";
import { type HttpRule, HttpRuleSchema } from "#gen/google/api/http_pb.ts";

/** Rules by the name of their RPC. */
export type Rules = Record<string, MessageInitShape<typeof HttpRuleSchema>>;

/** Rules an edge must not start with, and what it must say of them. */
export interface BadRules {
  readonly rules: Rules;
  readonly reason: RegExp;
  /** Whether callers of the RPCs send streams. */
  readonly clientStreaming?: boolean;
}

/** What {@link edgeWith} may be told beside its rules. */
export interface EdgeWith {
  /** Whether callers of the RPCs send streams; default false. */
  readonly clientStreaming?: boolean;
  /** The backend; default none that answers. */
  readonly address?: string;
}

/** Makes an edge over a made-up service whose RPCs take and answer Every. */
export function edgeWith(
  rules: Rules,
  { clientStreaming = false, address = "http://127.0.0.1:1" }: EdgeWith = {},
): Edge {
  const every = file_edge_testing_v1_kinds;
  const methods = Object.entries(rules).map(([name, rule]) => {
    const options = create(MethodOptionsSchema);
    setExtension(options, http, create(HttpRuleSchema, rule));
    const type = ".edge.testing.v1.Every";
    return create(MethodDescriptorProtoSchema, {
      name,
      inputType: type,
      outputType: type,
      options,
      clientStreaming,
    });
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "made/up.proto",
    package: "made.up",
    syntax: "proto3",
    dependency: [every.proto.name],
    service: [{ name: "MadeUpService", method: methods }],
  });
  const registry = createFileRegistry(file, (name) => (name === every.proto.name ? every : undefined));
  return createEdge({
    registry,
    services: (service) => service.typeName === "made.up.MadeUpService",
    backendFor: () => ({ address }),
  });
}

type More = Partial<Pick<HttpRule, "body" | "responseBody" | "additionalBindings">>;

/** A GET at a template. */
export const getting = (path: string, more: More = {}): HttpRule =>
  create(HttpRuleSchema, { pattern: { case: "get", value: path }, ...more });

/** A POST with a body at a template. */
export const posting = (path: string, body: string, more: More = {}): HttpRule =>
  create(HttpRuleSchema, { pattern: { case: "post", value: path }, body, ...more });

/** Any method at a template. */
export const custom = (kind: string, path: string, body = ""): HttpRule =>
  create(HttpRuleSchema, { pattern: { case: "custom", value: { kind, path } }, body });

const template = (path: string, reason: RegExp): BadRules => ({ rules: { Call: getting(path) }, reason });
const rule = (init: MessageInitShape<typeof HttpRuleSchema>, reason: RegExp): BadRules => ({
  rules: { Call: init },
  reason,
});
const grammar = /template '.*': .*not a literal/;

/** What 1.1 asks to be checked at the start. */
export const startUp: readonly (readonly [rule: string, fact: string, bad: BadRules])[] = [
  ["T1", "no slash first", template("v1/x", /begin with/)],
  ["T1", "nothing", template("", /begin with/)],
  ["T1", "the root alone", template("/", /must not be empty/)],
  ["T1", "an empty segment", template("/v1//x", /must not be empty/)],
  ["T1", "a trailing slash", template("/v1/x/", /template '\/v1\/x\/'/)],
  ["T1", "a verb without a segment", template("/:go", /must not be empty/)],
  ["T2", "a space", template("/v1/a b", grammar)],
  ["T2", "a reserved character", template("/v1/a$b", grammar)],
  ["T2", "a query", template("/v1/a?b=c", grammar)],
  ["T2", "a broken escape", template("/v1/%zz", grammar)],
  ["T2", "a cut escape", template("/v1/%a", grammar)],
  ["T2", "a letter outside ASCII", template("/v1/é", grammar)],
  ["T3", "a star behind a literal", template("/v1/x*", grammar)],
  ["T3", "a star before a literal", template("/v1/*x", grammar)],
  ["T3", "three stars", template("/v1/***", grammar)],
  ["T3", "text behind a variable", template("/v1/{text}b", /whole segment/)],
  ["T3", "text before a variable", template("/v1/b{text}", grammar)],
  ["T3", "two variables in a segment", template("/v1/{text}{number}", /another/)],
  ["T4", "a segment behind **", template("/v1/**/x", /last segment/)],
  ["T4", "a segment behind a variable that ends in **", template("/v1/{text=**}/x", /last segment/)],
  ["T4", "a variable behind **", template("/v1/{text=**}/{number}", /last segment/)],
  ["T4", "** inside a variable", template("/v1/{text=**/x}", /last segment/)],
  ["T4", "two **", template("/v1/**/**", /last segment/)],
  ["T5", "a variable in a variable", template("/v1/{text={renamed}}", /another/)],
  ["T5", "a variable in a variable's pattern", template("/v1/{text=a/{renamed}}", /another/)],
  ["T6", "an empty pattern", template("/v1/{text=}", /must not be empty/)],
  ["T6", "a pattern with a leading slash", template("/v1/{text=/x}", /must not be empty/)],
  ["T7", "the same variable twice", template("/v1/{text}/{text}", /twice/)],
  ["T7", "the same nested variable twice", template("/v1/{child.text}/x/{child.text=*}", /twice/)],
  ["T8", "an empty verb", template("/v1/x:", /must not be empty/)],
  ["T8", "a colon in a verb", template("/v1/x:a:b", grammar)],
  ["T8", "a slash in a verb", template("/v1/x:y/z", grammar)],
  ["T8", "a star as verb", template("/v1/x:*", grammar)],
  ["T8", "a variable as verb", template("/v1/x:{text}", grammar)],
  ["T8", "a verb inside a variable", template("/v1/{text=a:b}", grammar)],
  ["T9", "an open brace", template("/v1/{text", /without '}'/)],
  ["T9", "a closing brace alone", template("/v1/text}", /without '{'/)],
  ["T9", "an empty field path", template("/v1/{}", /not a field path/)],
  ["T9", "an empty step", template("/v1/{child..text}", /not a field path/)],
  ["T9", "a step that is no name", template("/v1/{1a}", /not a field path/)],
  ["T9", "an unknown field", template("/v1/{nope}", /no such field/)],
  ["T9", "an unknown field below", template("/v1/{child.nope}", /no such field/)],
  ["T9", "a JSON spelling", template("/v1/{maybeNumber}", /no such field/)],
  ["T9", "a list", template("/v1/{int64_list}", /no text form/)],
  ["T9", "a map", template("/v1/{counters}", /no text form/)],
  ["T9", "a message", template("/v1/{child}", /no text form/)],
  ["T9", "a Struct", template("/v1/{free}", /no text form/)],
  ["T9", "an Any", template("/v1/{any}", /no text form/)],
  ["T9", "a step through a list", template("/v1/{children.text}", /stepped through/)],
  ["T9", "a step through a map", template("/v1/{named.text}", /stepped through/)],
  ["T9", "a step into a scalar", template("/v1/{text.x}", /stepped through/)],
  ["T9", "a step into a well-known type", template("/v1/{time.seconds}", /stepped through/)],
  ["T10", "a body that is no field", rule(posting("/v1/x", "nope"), /body 'nope'/)],
  ["T10", "a dotted body", rule(posting("/v1/x", "child.text"), /body 'child.text'/)],
  ["T10", "a body in JSON spelling", rule(posting("/v1/x", "maybeNumber"), /body 'maybeNumber'/)],
  [
    "T10",
    "a response_body that is no field",
    rule(getting("/v1/x", { responseBody: "nope" }), /response_body 'nope'/),
  ],
  ["T10", "a dotted response_body", rule(getting("/v1/x", { responseBody: "child.text" }), /response_body/)],
  ["T11", "a body on GET", rule(getting("/v1/x", { body: "*" }), /GET cannot have a body/)],
  ["T11", "a named body on GET", rule(getting("/v1/x", { body: "child" }), /GET cannot have a body/)],
  ["T11", "a body on HEAD", rule(custom("HEAD", "/v1/x", "*"), /HEAD cannot have a body/)],
  [
    "T12",
    "nested additional bindings",
    rule(
      getting("/v1/x", {
        additionalBindings: [getting("/v1/y", { additionalBindings: [getting("/v1/z")] })],
      }),
      /nested/,
    ),
  ],
  [
    "T12",
    "a bad additional binding",
    rule(getting("/v1/x", { additionalBindings: [getting("/v1/{nope}")] }), /no such field/),
  ],
  [
    "T13",
    "one shape twice, its variables erased",
    {
      rules: { One: getting("/v1/{text}/x"), Two: getting("/v1/{flag=*}/x") },
      reason: /same shape as .*MadeUpService.One/,
    },
  ],
  [
    "T13",
    "one shape twice in one rule",
    rule(getting("/v1/{text}", { additionalBindings: [getting("/v1/*")] }), /same shape/),
  ],
  [
    "T13",
    "one shape whose escapes differ in case",
    rule(getting("/v1/%c3", { additionalBindings: [getting("/v1/%C3")] }), /same shape/),
  ],
  [
    "T13",
    "one shape with one verb",
    rule(getting("/v1/{text}:go", { additionalBindings: [getting("/v1/{number}:go")] }), /same shape/),
  ],
  [
    "T14",
    "path variables on a caller's stream",
    { ...template("/v1/{text}", /client-streaming/), clientStreaming: true },
  ],
  [
    "T14",
    "also with a body",
    { ...rule(posting("/v1/{text}", "*"), /client-streaming/), clientStreaming: true },
  ],
  ["T10", "a rule without a pattern", rule({ body: "*" }, /no pattern/)],
  ["M10", "a custom kind that is no method", rule(custom("A B", "/v1/x"), /not an HTTP method/)],
];
