import { STATUS_CODES } from "node:http";
import type { DescField, JsonObject } from "@bufbuild/protobuf";
import { codeName, httpStatusOf } from "../grpc/grpc-code.ts";
import type { Route } from "../options.ts";
import { isHttpBody } from "../rest/response-message.ts";
import { exampleOf, fieldExample } from "./example.ts";
import type { JsonSchema } from "./json-schema.ts";
import type { MethodFacts, OpenApiOptions, Refusal } from "./options.ts";
import { boundPaths, pathParameters, queryParameters } from "./parameters.ts";
import type { Schemas } from "./schema.ts";

/** Name of the problem document's schema. */
export const problemSchemaName = "Problem";

/** One route as an operation; `number` tells a method's bindings apart. */
export function operationOf(
  route: Route,
  number: number,
  schemas: Schemas,
  options: OpenApiOptions,
): JsonObject {
  const { service, method } = route;
  const facts = options.factsOf(method);
  const comment = options.commentOf(method) ?? method.name;
  const parameters = [
    ...pathParameters(route, schemas, options.exampleOf),
    ...queryParameters(route, schemas, options.exampleOf),
    ...facts.parameters,
  ];
  const body = requestBody(route, schemas, options);
  return {
    operationId: `${service.name}_${method.name}${number > 0 ? `_${number + 1}` : ""}`,
    tags: [service.name],
    summary: firstSentence(comment),
    description: comment,
    ...(method.deprecated && { deprecated: true }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: body }),
    responses: {
      [facts.successStatus]: success(route, facts, schemas, options),
      ...problems(facts.refusals),
    },
    security: facts.security.map((way) =>
      Object.fromEntries(Object.entries(way).map(([scheme, scopes]) => [scheme, [...scopes]])),
    ),
  };
}

/** Without its stop, and without marks that a summary is not read for. */
function firstSentence(comment: string): string {
  const sentence = /^.*?[.:;](?=\s|$)/s.exec(comment)?.[0].slice(0, -1) ?? comment;
  return sentence.replaceAll("`", "");
}

const streamsRequests = ({ method: { methodKind } }: Route) =>
  methodKind === "client_streaming" || methodKind === "bidi_streaming";
const streamsAnswers = ({ method: { methodKind } }: Route) =>
  methodKind === "server_streaming" || methodKind === "bidi_streaming";

const bodyField = ({ method, body }: Route): DescField | undefined =>
  method.input.fields.find(({ name }) => name === body);

function requestBody(route: Route, schemas: Schemas, options: OpenApiOptions): JsonObject | undefined {
  const { method, body } = route;
  if (body === "") return undefined;
  const field = bodyField(route);
  const message = body === "*" ? method.input : field?.message;
  if (isHttpBody(message) && field?.fieldKind !== "list") return { content: { "*/*": {} }, required: true };
  const [schema, example] = field
    ? [schemas.field(field), fieldExample(field, options.exampleOf)]
    : wholeBody(route, schemas, options);
  if (streamsRequests(route)) return { content: streamed(schema, false), required: true };
  return { content: { "application/json": { schema, example } }, required: true };
}

/** The whole message, but for what the path says. */
function wholeBody(route: Route, schemas: Schemas, { exampleOf: ofField }: OpenApiOptions) {
  const { input } = route.method;
  const bound = boundPaths(route);
  const schema = bound.size === 0 ? schemas.message(input) : schemas.messageWithout(input, bound);
  return [schema, exampleOf(input, ofField, bound)] as const;
}

function success(route: Route, facts: MethodFacts, schemas: Schemas, options: OpenApiOptions): JsonObject {
  const { method, responseBody } = route;
  const field = method.output.fields.find(({ name }) => name === responseBody);
  const message = field?.message ?? method.output;
  const description = options.commentOf(method.output) ?? STATUS_CODES[facts.successStatus] ?? "Success";
  const headers = refsToHeaders(options);
  if (isHttpBody(message)) return { description, headers, content: { "*/*": {} } };
  const schema = field ? schemas.field(field) : schemas.message(method.output);
  const example = field
    ? fieldExample(field, options.exampleOf)
    : exampleOf(method.output, options.exampleOf);
  if (!streamsAnswers(route))
    return { description, headers, content: { "application/json": { schema, example } } };
  const forms = "A stream: as lines, events or one array, by Accept, or as a WebSocket by Upgrade.";
  return { description: `${description} ${forms}`, headers, content: streamed(schema, true) };
}

const refsToHeaders = ({ answerHeaders }: OpenApiOptions): JsonObject =>
  Object.fromEntries(
    Object.keys(answerHeaders).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );

/** The forms of a stream: lines, one array, and, for answers, events. */
function streamed(schema: JsonSchema, withEvents: boolean): JsonObject {
  const line = { description: "One message in a line.", ...schema };
  const event = { description: "One message in the `data` of an event.", ...schema };
  return {
    "application/x-ndjson": { schema: line },
    ...(withEvents && { "text/event-stream": { schema: event } }),
    "application/json": { schema: { type: "array", items: schema } },
  };
}

/** What a refusal of that status says in a header. */
const refusalHeaders: Readonly<Record<number, JsonObject>> = {
  401: { "WWW-Authenticate": { description: "The scheme to come with.", schema: { type: "string" } } },
  429: { "Retry-After": { description: "Seconds to wait.", schema: { type: "integer" } } },
};

/** Refusals by status; the example of each reason stands once in the document. */
function problems(refusals: readonly Refusal[]): JsonObject {
  const byStatus = Map.groupBy(refusals, statusOf);
  const statuses = [...byStatus].sort(([one], [other]) => one - other);
  return Object.fromEntries(
    statuses.map(([status, reasons]) => [
      String(status),
      {
        description: `${STATUS_CODES[status] ?? "Refused"}.\n\n${reasons.map(lineOf).join("\n")}`,
        ...(refusalHeaders[status] && { headers: refusalHeaders[status] }),
        content: {
          "application/problem+json": {
            schema: { $ref: `#/components/schemas/${problemSchemaName}` },
            examples: Object.fromEntries(
              reasons.map((refusal) => [
                nameOf(refusal),
                { $ref: `#/components/examples/${nameOf(refusal)}` },
              ]),
            ),
          },
        },
      },
    ]),
  );
}

const statusOf = ({ status, code }: Refusal) => status ?? httpStatusOf(code);
const nameOf = ({ domain, reason }: Refusal) => `${domain}.${reason}`;
const lineOf = ({ reason, meaning }: Refusal) => `- \`${reason}\`: ${meaning}`;

/** The example of a refusal, by its name. */
export function problemExample(refusal: Refusal): readonly [string, JsonObject] {
  const { type, reason, domain, code, meaning } = refusal;
  const status = statusOf(refusal);
  const title = STATUS_CODES[status] ?? "Error";
  const value = { type, title, status, detail: meaning, code: codeName(code), reason, domain };
  return [nameOf(refusal), { summary: meaning, value }];
}
