// Describes an edge's routes as OpenAPI 3.1: paths, parameters, bodies and answers from the compiled table, rules and words from the
// contract, and from the gateway what only it knows. What the table serves is in the document, and nothing else is.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Route } from "../options.ts";
import type { JsonSchema } from "./json-schema.ts";
import { operationOf, problemExample, problemSchemaName } from "./operation.ts";
import type { OpenApiOptions } from "./options.ts";
import { pathForm } from "./parameters.ts";
import { createSchemas } from "./schema.ts";

export type { ExampleOf } from "./example.ts";
export type { MethodFacts, OpenApiOptions, Refusal } from "./options.ts";
export type { CommentOf } from "./schema.ts";

const methods = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]);

/** The document of a route table. A method of HTTP that OpenAPI 3.1 has no word for stands under `x-` and its name. */
export function describeRoutes(routes: readonly Route[], options: OpenApiOptions): JsonObject {
  const schemas = createSchemas({ commentOf: options.commentOf, refPrefix: "#/components/schemas/" });
  const paths: Record<string, JsonObject> = {};
  const numbers = new Map<string, number>();
  for (const route of routes) {
    const { path } = pathForm(route.template);
    const number = numbers.get(route.method.toString()) ?? 0;
    numbers.set(route.method.toString(), number + 1);
    const key = methods.has(route.httpMethod) ? route.httpMethod.toLowerCase() : `x-${route.httpMethod}`;
    paths[path] = { ...paths[path], [key]: operationOf(route, number, schemas, options) };
  }
  return {
    openapi: "3.1.0",
    info: { ...options.info },
    servers: [...options.servers],
    tags: tagsOf(routes, options),
    paths,
    components: {
      schemas: { [problemSchemaName]: problemSchema, ...schemas.components() },
      examples: problemExamples(routes, options),
      headers: { ...options.answerHeaders },
      securitySchemes: { ...options.securitySchemes },
    },
  };
}

function tagsOf(routes: readonly Route[], { commentOf }: OpenApiOptions): JsonValue[] {
  const services = new Set(routes.map(({ service }) => service));
  return Array.from(services, (service) => ({
    name: service.name,
    description: commentOf(service) ?? service.typeName,
  }));
}

function problemExamples(routes: readonly Route[], { factsOf }: OpenApiOptions): JsonObject {
  const refusals = routes.flatMap(({ method }) => factsOf(method).refusals);
  const examples = new Map(refusals.map(problemExample));
  return Object.fromEntries([...examples].sort(([one], [other]) => (one < other ? -1 : 1)));
}

const text = { type: "string" };

/** RFC 9457 with the members that every edge adds. */
const problemSchema: JsonSchema = {
  title: "Problem",
  description:
    "Why a request was refused (RFC 9457). Programs decide by `domain` and `reason`, never by a text.",
  type: "object",
  properties: {
    type: { ...text, format: "uri-reference", description: "Identifies the kind of problem." },
    title: { ...text, description: "The status in words." },
    status: { type: "integer", description: "The status of the answer." },
    detail: { ...text, description: "What is wrong, for people." },
    code: { ...text, description: "Name of the gRPC code: `NOT_FOUND`." },
    reason: { ...text, description: "What is wrong, for programs." },
    domain: { ...text, description: "Who declares the reason." },
    metadata: { type: "object", additionalProperties: text, description: "Facts about the reason." },
    field: { ...text, description: "The member at fault, where there is just one." },
    violations: {
      type: "array",
      description: "The members at fault.",
      items: {
        type: "object",
        properties: { field: text, description: text, reason: text },
        required: ["field", "description"],
      },
    },
    retryAfterMs: { type: "number", description: "When to come again, in milliseconds." },
  },
  required: ["type", "title", "status", "code"],
};
